# One image for every process; compose.yaml names the module each container runs.
FROM python:3.11.14-slim-bookworm AS packages
# `tracing` to send spans to a collector (docs/operations.md).
ARG REQUIREMENTS=runtime
COPY requirements/${REQUIREMENTS}.txt runtime.txt
RUN pip install --no-cache-dir --no-deps --require-hashes --only-binary=:all: \
      --target /packages -r runtime.txt

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin media
COPY --from=packages /packages /packages
WORKDIR /app
COPY domain domain
COPY application application
COPY projections projections
COPY adapters adapters
COPY api api
COPY workers workers
ENV PYTHONPATH=/packages PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN python -m compileall -q /packages /app
USER 10001
CMD ["python", "-m", "api.app"]
