from django.urls import URLPattern, URLResolver, path

from procurement.web import custody, shares

urlpatterns: list[URLPattern | URLResolver] = [
    path("procedures/<str:number>/custody/", custody.choose, name="tender_custody"),
    path("procedures/<str:number>/custody/invite/", custody.invite, name="tender_custody_invite"),
    path("procedures/<str:number>/custody/keys/", custody.ceremony, name="tender_ceremony"),
    path("procedures/<str:number>/shares/", shares.page, name="tender_shares"),
    path("procedures/<str:number>/shares/state/", shares.state, name="tender_shares_state"),
    path("procedures/<str:number>/shares/confirm/", shares.confirm, name="share_confirm"),
    path("procedures/<str:number>/shares/release/", shares.release, name="share_release"),
    path("procedures/<str:number>/shares/wrong/", shares.wrong, name="share_wrong"),
    path("procedures/<str:number>/shares/key/", shares.key, name="shares_key"),
    path("procedures/<str:number>/shares/escrow/", shares.escrow, name="shares_escrow"),
    path("procedures/<str:number>/shares/give-up/", shares.give_up, name="shares_give_up"),
    path("procedures/<str:number>/shares/give-up/<str:nonce>/", shares.sign_giving_up, name="shares_give_up_sign"),
    path("procedures/<str:number>/shares/remind/", shares.remind, name="shares_remind"),
]
