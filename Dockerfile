# One image; the command chooses the process: serve (the default), api, worker, scheduler, init.

FROM python:3.13-slim-bookworm AS build
WORKDIR /app
RUN python -m venv .venv
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN .venv/bin/python -m pip install --no-cache-dir --require-hashes \
    -r requirements/runtime.txt -r requirements/build.txt
COPY pyproject.toml README.md ./
COPY config config
COPY engine engine
COPY dispatcher dispatcher
COPY reconciler reconciler
COPY worker worker
COPY api api
COPY bench bench
COPY examples examples
RUN .venv/bin/python -m pip install --no-cache-dir --no-build-isolation --no-deps --editable . \
    && .venv/bin/python -m pip uninstall --yes setuptools pip

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /data --create-home tillbell
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TILLBELL_API_HOST=0.0.0.0 \
    TILLBELL_DATA_DIR=/data \
    TILLBELL_LOG_FORMAT=json
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8484
STOPSIGNAL SIGTERM
# For the processes that speak HTTP; compose.yaml turns it off for the others.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('TILLBELL_API_PORT', 8484)}/healthz\", timeout=4)"]
ENTRYPOINT ["tillbell"]
CMD ["serve"]
