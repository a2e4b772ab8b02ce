# The image of Nightcast. Its command, the Prefect server and workers, and the server of the reports run from it.
#
#   docker build --tag nightcast:0.1.0 .
#   docker build --tag nightcast:0.1.0-gpu --build-arg EXTRAS="postgres gpu" .
#
# docs/containers.md says how to run it, and what was checked.

# Append @sha256:... to pin the base to the last byte, see docs/containers.md.
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS build
# Which files of requirements/ to install beside base.txt.
ARG EXTRAS="postgres"
WORKDIR /build
# Nights run as a user who cannot write here, so Python could not keep what it compiles then. What is compiled at the
# installation is valid whatever time stamps the sources get in the image.
ENV PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy
COPY requirements/ requirements/
COPY pyproject.toml README.md ./
RUN --mount=type=cache,target=/root/.cache \
    python -m venv /opt/tools \
    && /opt/tools/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/bootstrap.txt
RUN --mount=type=cache,target=/root/.cache \
    python -m venv --without-pip /opt/nightcast \
    && for name in base ${EXTRAS}; do \
        /opt/tools/bin/uv pip install --python /opt/nightcast/bin/python --require-hashes -r "requirements/${name}.txt" \
        || exit 1; \
    done
COPY flows/ flows/
COPY tasks/ tasks/
COPY models/ models/
COPY sql/ sql/
RUN /opt/tools/bin/uv pip install --python /opt/nightcast/bin/python --no-deps --no-build-isolation .

FROM ${BASE}
# The version in pyproject.toml; a test holds the two equal.
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="nightcast" \
      org.opencontainers.image.description="Forecasts time series every night and alerts when forecasts get worse" \
      org.opencontainers.image.version="${VERSION}"
# DO_NOT_TRACK and the analytics turn off what Prefect would send to its makers.
ENV PATH=/opt/nightcast/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NIGHTCAST_JOBS=/jobs \
    PREFECT_HOME=/prefect \
    PREFECT_SERVER_UI_STATIC_DIRECTORY=/prefect/ui \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1
# The root file system may be read-only. Nightcast writes to /data, Prefect to /prefect, and both to /tmp.
RUN groupadd --gid 10001 nightcast \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin nightcast \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data /prefect \
    && install --directory --mode=0755 /jobs
COPY --from=build /opt/nightcast /opt/nightcast
WORKDIR /app
COPY containers/with-secrets containers/
USER 10001:10001
# For a container that only runs nights. compose.yaml asks servers and workers more often, at their own addresses.
HEALTHCHECK --interval=10m --timeout=2m --start-period=2m \
    CMD ["/app/containers/with-secrets", "nightcast", "doctor"]
ENTRYPOINT ["/app/containers/with-secrets", "nightcast"]
CMD ["--help"]
