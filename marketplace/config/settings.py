"""Settings, read from the environment (see .env.example). Without any, the embedded PostgreSQL and Valkey are used."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import environ
from csp.constants import NONCE, NONE, SELF  # noqa: F401  (NONCE is named so that nobody adds it unawares)
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from marketplace import embedded

BASE_DIR = Path(__file__).resolve().parents[2]
LOCAL_DIR = embedded.here().local

env = environ.Env()
env.read_env(BASE_DIR / ".env")

TESTING = "pytest" in sys.modules
# "production" refuses every convenience below; "development" is what `make demo` and `make test` use.
ENVIRONMENT = env.str("OPENLOT_ENVIRONMENT", "development")
PRODUCTION = ENVIRONMENT == "production"
DEBUG = env.bool("DEBUG", False) and not PRODUCTION


def required_in_production(name: str, otherwise: str) -> str:
    """The variable's value; in development a stand-in serves, in production its absence is an error."""
    value = env.str(name, "")
    if value:
        return value
    if PRODUCTION:
        raise ImproperlyConfigured(f"{name} is not set. Set it in the environment or in .env (see .env.example).")
    return otherwise


SECRET_KEY = required_in_production("SECRET_KEY", "development only: this key protects nothing")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"] if not PRODUCTION else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SITE_NAME = "Openlot"
SITE_URL = env.str("SITE_URL", "http://127.0.0.1:8000")
# Who issues the invoices, and where they are paid: printed as they stand, "\n" begins a new line.
PLATFORM_NAME_AND_ADDRESS = env.str("PLATFORM_NAME_AND_ADDRESS", SITE_NAME, multiline=True)
PLATFORM_BANK_ACCOUNT = env.str("PLATFORM_BANK_ACCOUNT", "", multiline=True)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "django.forms",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_filters",
    "django_htmx",
    "phonenumber_field",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "marketplace",
    "procurement",
    "analytics",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "marketplace.web.body_size.BodySizeMiddleware",
    "marketplace.web.script_policy.ScriptPolicyMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "marketplace.web.middleware.PlainTextMiddleware",
    "marketplace.web.middleware.ActorMiddleware",
    "marketplace.web.middleware.DomainErrorMiddleware",
]

ROOT_URLCONF = "marketplace.config.urls"
WSGI_APPLICATION = "marketplace.config.wsgi.application"
FORM_RENDERER = "marketplace.web.forms.OpenlotRenderer"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "marketplace.web.context.site",
            ],
            "builtins": ["django.templatetags.i18n", "marketplace.templatetags.openlot"],
        },
    }
]

# Database: PostgreSQL only. Without DATABASE_URL the embedded server is started and used.
DATABASE_URL = env.str("DATABASE_URL", "")
if not DATABASE_URL:
    if PRODUCTION:
        raise ImproperlyConfigured("DATABASE_URL is not set: point it at your PostgreSQL server.")
    DATABASE_URL = embedded.database_url()
# A connection is tried before it is used: a database that was restarted costs nobody an error.
DATABASES = {
    "default": {**env.db_url_config(DATABASE_URL), "ATOMIC_REQUESTS": False, "CONN_HEALTH_CHECKS": not TESTING}
}
# A machine that is gone says nothing: over TCP its connection is given up within half a minute instead of hours.
_NOTICE_SILENCE = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
DATABASES["default"]["OPTIONS"] = {
    **_NOTICE_SILENCE,
    **DATABASES["default"].get("OPTIONS", {}),
    "application_name": env.str("OPENLOT_PROCESS", "openlot"),
}
# Whoever waits for a connection for longer than the timeout takes the database for away.
_POOL = {"max_size": env.int("DATABASE_POOL_SIZE", 16), "timeout": env.int("DATABASE_POOL_TIMEOUT_SECONDS", 10)}
if not TESTING:
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, **_POOL}
_suffix = env.str("OPENLOT_TEST_DB", "")
DATABASES["default"]["TEST"] = {"NAME": f"test_openlot_{_suffix}" if _suffix else "test_openlot"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Background work that may be late by seconds. What must happen is a row taken by the clock process.
BROKER_URL = env.str("BROKER_URL", "")
if not BROKER_URL and not TESTING:
    if PRODUCTION:
        raise ImproperlyConfigured("BROKER_URL is not set: point it at your Valkey or Redis server.")
    BROKER_URL = embedded.broker_url()
CELERY_BROKER_URL = BROKER_URL or "memory://"
CELERY_TASK_ALWAYS_EAGER = TESTING
CELERY_TASK_EAGER_PROPAGATES = TESTING
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
# No task waits behind a long one in a process that has its hands full.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# What reckons for long has a queue of its own: a worker takes from both in turn, so that mail never waits for a run.
CELERY_TASK_QUEUES = {name: {"exchange": name, "routing_key": name} for name in ("celery", "insights")}
CELERY_TASK_DEFAULT_QUEUE = "celery"
CELERY_TASK_ROUTES = {
    f"analytics.tasks.{name}": {"queue": "insights"}
    for name in ("learn", "score_part", "refresh_cards", "look_at_file", "read_file", "load_import", "undo_import")
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if CELERY_BROKER_URL.startswith(("redis", "unix")) or BROKER_URL:
    CACHES["default"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.str("CACHE_URL", embedded.cache_url(BROKER_URL)),
    }

# People
AUTH_USER_MODEL = "marketplace.Person"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = env.str("ACCOUNT_EMAIL_VERIFICATION", "mandatory" if PRODUCTION else "optional")
ACCOUNT_ADAPTER = "marketplace.web.accounts.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "marketplace.web.account_security_forms.LoginForm",
    "reset_password": "marketplace.web.account_security_forms.ResetPasswordForm",
    "reset_password_from_key": "marketplace.web.account_security_forms.ResetPasswordKeyForm",
    "change_password": "marketplace.web.account_security_forms.ChangePasswordForm",
    "reauthenticate": "marketplace.web.account_security_forms.PasswordAgainForm",
    "add_email": "marketplace.web.account_security_forms.AddEmailForm",
}
# Whoever's password, address or second factor changes is told by mail.
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_PREVENT_ENUMERATION = True
# Wrong passwords: from one address, and for one account from one address or device (marketplace/web/known_devices.py).
ACCOUNT_RATE_LIMITS = {"login_failed": "10/5m/ip,5/5m/key"} if not TESTING else False
LOGIN_FAILURES_ON_KNOWN_DEVICE = "5/5m/key" if not TESTING else ""
# Who guesses passwords is known by the address that the last trusted proxy saw; without a proxy the header is not read.
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", 1 if PRODUCTION else 0)
MFA_ADAPTER = "marketplace.web.accounts.SecondFactorAdapter"
MFA_FORMS = {
    "authenticate": "marketplace.web.account_security_forms.AuthenticateForm",
    "reauthenticate": "marketplace.web.account_security_forms.ReauthenticateForm",
    "activate_totp": "marketplace.web.account_security_forms.ActivateTotpForm",
    "add_webauthn": "marketplace.web.account_security_forms.AddPasskeyForm",
    "edit_webauthn": "marketplace.web.account_security_forms.RenamePasskeyForm",
    "login_webauthn": "marketplace.web.account_security_forms.PasskeyLoginForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
# The platform's own people set up a second factor before they do anything else.
STAFF_NEEDS_SECOND_FACTOR = env.bool("STAFF_NEEDS_SECOND_FACTOR", PRODUCTION)
# A phone's clock may be half a minute off.
MFA_TOTP_TOLERANCE = 1
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not PRODUCTION

# Language, time, money
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "marketplace" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
DEFAULT_CURRENCY = env.str("DEFAULT_CURRENCY", "EUR")
DEFAULT_TENDER_TIME_ZONE = env.str("DEFAULT_TENDER_TIME_ZONE", "Europe/Berlin")

# Files
STATIC_URL = "static/"
STATIC_ROOT = LOCAL_DIR / "static"
STATICFILES_DIRS: list[Path] = []
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", str(LOCAL_DIR / "media")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if not (DEBUG or TESTING)
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG or TESTING
# Looked for when asked for. Every client of a test is a server of its own, which would go through all of them first.
WHITENOISE_AUTOREFRESH = DEBUG or TESTING
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
# How long visitors see the same figures on the first page: what a crowd asks for is counted once in this time.
PUBLIC_PAGE_SECONDS = env.int("PUBLIC_PAGE_SECONDS", 30 if not TESTING else 0)
DOCUMENT_MAX_BYTES = env.int("DOCUMENT_MAX_BYTES", 50 * 1024 * 1024)
# What one request may carry at all; larger ones are refused before they are read.
BODY_MAX_BYTES = DOCUMENT_MAX_BYTES + DATA_UPLOAD_MAX_MEMORY_SIZE
# A bid's documents are sealed in the bidder's browser and arrive in parts: one may exceed what is sent in one go.
BID_FILE_MAX_BYTES = env.int("BID_FILE_MAX_BYTES", 500 * 1024 * 1024)
BID_MAX_BYTES = env.int("BID_MAX_BYTES", 1024 * 1024 * 1024)
BID_PART_MAX_BYTES = env.int("BID_PART_MAX_BYTES", 16 * 1024 * 1024)
# Only a document's last part is smaller: one sent byte by byte would be a million files.
BID_PART_MIN_BYTES = env.int("BID_PART_MIN_BYTES", 256 * 1024)
# Of one supplier's bids together, as long as they are sealed.
BIDDER_MAX_BYTES = env.int("BIDDER_MAX_BYTES", 20 * 1024 * 1024 * 1024)
# A company's purchases in one file: a million and a half lines packed, or half of that as it is.
PURCHASES_MAX_BYTES = env.int("PURCHASES_MAX_BYTES", 200 * 1024 * 1024)
# The hour (UTC) from which on a night's insights are reckoned.
INSIGHTS_HOUR = env.int("INSIGHTS_HOUR", 1)
# How many accounts a worker scores at once, and for how long it has them; how long learning from a whole book may take.
INSIGHTS_PART_ACCOUNTS = env.int("INSIGHTS_PART_ACCOUNTS", 1000)
INSIGHTS_PART_SECONDS = env.int("INSIGHTS_PART_SECONDS", 300)
INSIGHTS_LEARNING_SECONDS = env.int("INSIGHTS_LEARNING_SECONDS", 1800)
# No document is taken that would leave the disk with less than this.
STORAGE_RESERVE_BYTES = env.int("STORAGE_RESERVE_BYTES", 1024 * 1024 * 1024)

# Mail: to the console's log until a server is named.
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="filemail:")
vars().update(EMAIL_CONFIG)
EMAIL_FILE_PATH = str(LOCAL_DIR / "mail")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "Openlot <no-reply@openlot.example>")

# Keys outside the database: they open sealed bids and sign receipts (marketplace/shared/keys.py).
OPENLOT_KEYS_FILE = Path(required_in_production("OPENLOT_KEYS_FILE", str(LOCAL_DIR / "keys.json")))
# The extended key usage a signing certificate must carry; empty: any document signing certificate. The default lies
# under the arc kept for examples (RFC 5612): a real platform names one under its own enterprise number.
SIGNING_EKU_OID = env.str("SIGNING_EKU_OID", "1.3.6.1.4.1.32473.7.1")
SIGNING_MIN_RSA_BITS = env.int("SIGNING_MIN_RSA_BITS", 2048)
# The sunset of RSA keys below 3072 bits, e.g. 2028-01-01T00:00:00Z; empty: none yet.
_sunset = env.str("SIGNING_RSA_3072_FROM", "")
SIGNING_RSA_3072_FROM = datetime.fromisoformat(_sunset) if _sunset else None
# A signature that cannot be judged for want of revocation data waits for so long.
SIGNATURE_WAIT_HOURS = env.int("SIGNATURE_WAIT_HOURS", 24)

# Revocation lists and OCSP answers, asked for at the addresses the operator entered and at no others.
REVOCATION_MAX_BYTES = env.int("REVOCATION_MAX_BYTES", 32 * 1024 * 1024)
REVOCATION_SECONDS = env.int("REVOCATION_SECONDS", 60)
REVOCATION_REFRESH_MINUTES = env.int("REVOCATION_REFRESH_MINUTES", 60)
# Whether such an address may lie in a private network (an authority of one's own, a relay); link-local ones never may.
REVOCATION_PRIVATE_ADDRESSES = env.bool("REVOCATION_PRIVATE_ADDRESSES", False)
# How long before a list is overdue the operators are told; for a short-lived list, the last quarter of its life.
REVOCATION_WARN_HOURS = env.int("REVOCATION_WARN_HOURS", 24)
REVOCATION_KEEP_OLDER_DAYS = env.int("REVOCATION_KEEP_OLDER_DAYS", 3)

# Time stamps (RFC 3161). The authorities are asked in this order; without any, signatures are taken unstamped. "local:"
# is the demonstration's own authority, refused in production.
TIMESTAMP_AUTHORITY_URLS = env.list("TIMESTAMP_AUTHORITY_URLS", default=[])
TIMESTAMP_POLICY = env.str("TIMESTAMP_POLICY", "")
TIMESTAMP_SECONDS = env.int("TIMESTAMP_SECONDS", 10)
TIMESTAMP_LOCAL_DIR = LOCAL_DIR / "demo-tsa"
# When signatures that still wait for their stamp are worth a warning to the operators.
TIMESTAMP_WARN_MINUTES = env.int("TIMESTAMP_WARN_MINUTES", 60)
# From when on an algorithm proves nothing by itself, as in sha256=2035-01-01T00:00:00Z,rsa-2048=2029-01-01T00:00:00Z.
# What rests on it is stamped anew, with TIMESTAMP_ARCHIVE_HASH, so many days before that or before the stamp's end.
ALGORITHM_SUNSETS = {
    name: (moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    for name, at in env.dict("ALGORITHM_SUNSETS", default={}).items()
    for moment in [datetime.fromisoformat(at)]
}
_ALGORITHMS = {"sha256", "sha384", "sha512", "rsa-2048", "rsa-3072", "p256", "p384", "ed25519"}
if _unknown := ALGORITHM_SUNSETS.keys() - _ALGORITHMS:
    # A slip of the pen would mean that nothing is ever stamped again.
    raise ImproperlyConfigured(f"ALGORITHM_SUNSETS names what is not known: {', '.join(sorted(_unknown))}.")
RESTAMP_DAYS_BEFORE = env.int("RESTAMP_DAYS_BEFORE", 180)
TIMESTAMP_ARCHIVE_HASH = env.str("TIMESTAMP_ARCHIVE_HASH", "sha512")
if TIMESTAMP_ARCHIVE_HASH not in {"sha256", "sha384", "sha512"}:
    raise ImproperlyConfigured("TIMESTAMP_ARCHIVE_HASH is one of sha256, sha384 and sha512.")
# How many signatures are judged again by their kept evidence every night.
REVERIFY_NIGHTLY = env.int("REVERIFY_NIGHTLY", 200)

# A preset's periods are counted in days. The demonstration counts a day as a minute.
PERIOD_UNIT = env.str("PERIOD_UNIT", "day")
# For so long after the deadline bids are not opened while signatures received before it wait to be judged.
SIGNATURE_JUDGING_GRACE = timedelta(
    seconds=env.int("SIGNATURE_JUDGING_GRACE_SECONDS", 1800 if PERIOD_UNIT == "day" else 60)
)

# Where the live auction's gateway answers: "" the same origin (behind a proxy), ":8001" the same host on another port.
GATEWAY_ORIGIN = env.str("GATEWAY_ORIGIN", "")
GATEWAY_TOKEN_SECONDS = env.int("GATEWAY_TOKEN_SECONDS", 3600)
# New bids of one bidder a second at each gateway, with twice as many in reserve: more than any person or honest
# program sends.
GATEWAY_BIDS_PER_SECOND = env.float("GATEWAY_BIDS_PER_SECOND", 50.0)
# Live auctions get the time back in which no bid could be taken, where that was longer than this.
OUTAGE_TOLERANCE_SECONDS = env.int("OUTAGE_TOLERANCE_SECONDS", 10)
# Shorter, a gateway that stands still in its sign would be an outage. Longer, an auction could end while a bid still
# waits for a gateway that is gone (procurement/services/pulse.py). Only tests on slow machines need longer.
if OUTAGE_TOLERANCE_SECONDS <= 5 or (PRODUCTION and OUTAGE_TOLERANCE_SECONDS > 30):
    raise ImproperlyConfigured(
        f"OUTAGE_TOLERANCE_SECONDS is {OUTAGE_TOLERANCE_SECONDS}: it has to be at least 6 and at most 30 seconds."
    )
# An auction that should have started in an outage starts so long after it.
AUCTION_RESTART_NOTICE_SECONDS = env.int("AUCTION_RESTART_NOTICE_SECONDS", 60)

# Security
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_NAME = "openlot_session"
CSRF_COOKIE_NAME = "openlot_csrf"
CSRF_FAILURE_VIEW = "marketplace.web.errors.csrf_failure"
if PRODUCTION:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", 31_536_000)
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", True)
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        # The gateway of the same host on another port is added per request by marketplace.web.middleware.
        "connect-src": [SELF],
        # But on the page of a bid, which starts one from bytes whose hash it compared (procurement/web/bid_editing.py).
        "worker-src": [NONE],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "marketplace.api.authentication.TokenAuthentication",
        "marketplace.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["marketplace.api.parsers.JSONParser", "rest_framework.parsers.MultiPartParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_VERSIONING_CLASS": None,
    "DEFAULT_THROTTLE_CLASSES": ["marketplace.api.throttling.Reads", "marketplace.api.throttling.Writes"],
    "DEFAULT_THROTTLE_RATES": {
        "reads": env.str("API_READS", "1200/min") if not TESTING else None,
        "writes": env.str("API_WRITES", "300/min") if not TESTING else None,
    },
    "NUM_PROXIES": ALLAUTH_TRUSTED_PROXY_COUNT,
    "EXCEPTION_HANDLER": "marketplace.api.problems.handle",
    "COERCE_DECIMAL_TO_STRING": True,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Openlot",
    "DESCRIPTION": "Tenders, lots, bids and live auctions of the Openlot marketplace.",
    "VERSION": "1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "INFO" if not TESTING else "WARNING")},
    "loggers": {"pyhanko": {"level": "ERROR"}, "pyhanko_certvalidator": {"level": "ERROR"}},
}
