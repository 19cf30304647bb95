# syntax=docker/dockerfile:1
# The service in a container. CPU by default; for NVIDIA GPUs: docker build --build-arg VARIANT=cu130 .
ARG PYTHON_IMAGE=python:3.11-slim-trixie
ARG NODE_IMAGE=node:24-trixie-slim

# The scripts and styles of the pages.
FROM ${NODE_IMAGE} AS pages
WORKDIR /build/app/web
COPY app ../
RUN --mount=type=cache,target=/root/.npm \
    npm --prefix client ci --no-audit --no-fund \
    && npm --prefix client run build \
    && rm -rf client

# The wheel of this source, with the built pages inside.
FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /build
COPY pyproject.toml README.md ./
COPY models models
COPY training training
COPY --from=pages /build/app app
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip wheel --no-deps --wheel-dir /wheels .

# Everything installed, at the versions of constraints.txt.
FROM ${PYTHON_IMAGE} AS install
ARG VARIANT=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/${VARIANT}
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1
WORKDIR /build
COPY constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/aegle \
    && /opt/aegle/bin/pip install \
        --constraint constraints.txt --extra-index-url "${TORCH_INDEX}" torch
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    /opt/aegle/bin/pip install \
        --constraint constraints.txt --extra-index-url "${TORCH_INDEX}" /wheels/aegle-*.whl \
    && /opt/aegle/bin/python -m compileall -q -j 0 /opt/aegle/lib

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Aegle" \
      org.opencontainers.image.description="Learns what healthy scans look like and flags those that do not look like it." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 aegle \
    && useradd --uid 10001 --gid aegle --no-create-home --home-dir /var/lib/aegle \
        --shell /usr/sbin/nologin aegle \
    && install --directory --owner=aegle --group=aegle --mode=0700 /var/lib/aegle
COPY --from=install /opt/aegle /opt/aegle
# Only /var/lib/aegle (a volume) and /tmp (a tmpfs) are written to: the rest may be read-only.
ENV PATH=/opt/aegle/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    AEGLE_HOST=0.0.0.0 \
    AEGLE_PORT=8080 \
    AEGLE_DATA_FOLDER=/var/lib/aegle
VOLUME ["/var/lib/aegle"]
WORKDIR /var/lib/aegle
USER 10001:10001
EXPOSE 8080
# What was accepted is scored before the end: give it 120 s (docker stop --time 120).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['AEGLE_PORT']), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["aegle"]
CMD ["serve"]
