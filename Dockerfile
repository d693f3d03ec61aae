# One image for every process of Openlot; compose.yaml says which command each of them runs.

# The front-end bundle.
FROM node:22-slim AS assets
WORKDIR /app/assets
COPY assets/package.json assets/package-lock.json assets/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY assets ./
RUN mkdir -p ../marketplace/static && npm run build

# The Python packages, each with the hash of the lock file; all come as wheels, so no compiler is needed.
FROM python:3.11-slim AS packages
COPY requirements/runtime.txt /tmp/
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/runtime.txt

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=marketplace.config.settings OPENLOT_LOCAL=/app/.local MEDIA_ROOT=/media
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin openlot \
    && mkdir -p /app /media /keys && chown openlot: /app /media /keys && chmod 700 /keys
WORKDIR /app
COPY --from=packages /venv /venv
COPY --chown=openlot: manage.py LICENSE ./
COPY --chown=openlot: marketplace marketplace
COPY --chown=openlot: procurement procurement
COPY --chown=openlot: analytics analytics
COPY --chown=openlot: templates templates
COPY --from=assets --chown=openlot: /app/marketplace/static/build marketplace/static/build
USER openlot
# Collecting files opens neither the database nor the broker; the addresses only keep the settings from starting any.
RUN OPENLOT_ENVIRONMENT=development DATABASE_URL=postgresql://nowhere/openlot BROKER_URL=redis://nowhere:6379/0 \
    python manage.py collectstatic --no-input --verbosity 0
ENV OPENLOT_ENVIRONMENT=production
VOLUME ["/media", "/keys"]
EXPOSE 8000
# The web process; the others bring a check of their own in compose.yaml. Django answers only to its own names.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "\
import os, urllib.request as r; \
r.urlopen(r.Request('http://127.0.0.1:8000/healthz', headers={'Host': os.environ['ALLOWED_HOSTS'].split(',')[0]}), timeout=4)"]
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--no-ws", "--workers", "2", \
     "--blocking-threads", "8", "marketplace.config.wsgi:application"]
