from django.urls import path

from marketplace.web import headings, signup

urlpatterns = [
    path("", signup.you, name="signup"),
    path("begin/", signup.begin, name="register_organisation"),
    path("company/", signup.company, name="signup_company"),
    path("company/numbers/", signup.identifiers, name="signup_identifiers"),
    path("addresses/", signup.addresses, name="signup_addresses"),
    path("headings/", headings.found, name="signup_headings"),
    path("sign/", signup.sign, name="signup_sign"),
    path("<slug:step>/keep/", signup.keep, name="signup_keep"),
]
