# docker build -t open_nsfw .                     scores with ONNX Runtime, on Debian 13 (the last stage is the default)
# docker build -t open_nsfw --target caffe .      scores with real pycaffe, on Debian 11, whose Python 3.9 pycaffe needs
# docker build -t open_nsfw --build-arg EXTRAS=video,heif,zstd,serve,parquet,policy .      with other extras than the default ones
# docker run -p 127.0.0.1:8080:8080 --volume "$PWD":/workspace open_nsfw serve --key-file keys.txt      the service
# docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD":/workspace open_nsfw classify_nsfw test_image.jpg
#
# For each of the two, a stage with pip's leftovers fills /opt/open_nsfw, and the image takes that folder alone. It is a
# virtual environment, because Debian lets nobody but its own packages write into its Python.
#
# What the image sets for the command:
#   OPEN_NSFW_MODEL_DIR    the packaged model, for a checkout mounted at /workspace whose own nsfw_model/ has no weights
#   OPEN_NSFW_CACHE        where the converted models lie already, so that the first run is as fast as the next; they are
#                          root's, and so are taken whatever user the command runs as
#   OPEN_NSFW_IMAGE_BUILD  and _EXTRAS: how the image was built, for the answer to a library that is not in it
#   ORT_DISABLE_TELEMETRY  newer releases of ONNX Runtime report to their maker unless told not to

# What strangers upload: films, HEIF photos, zstd archives; and the service. `parquet` and `policy` (for `open-nsfw calibrate`) are larger.
ARG EXTRAS=video,heif,zstd,serve

FROM debian:bullseye-slim AS caffe-build
ARG EXTRAS
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv
# Debian 11's own pip is from 2020 and cannot be relied on with today's wheels.
RUN python3 -m venv /opt/open_nsfw && /opt/open_nsfw/bin/pip install --no-cache-dir --upgrade pip
COPY . /source
RUN /opt/open_nsfw/bin/pip install --no-cache-dir "/source[caffe${EXTRAS:+,$EXTRAS}]"
RUN ln -s /opt/open_nsfw/lib/python3.*/site-packages/open_nsfw/model /opt/open_nsfw/model
# Inside a container every address is its own: what may reach the service is up to `docker run -p`, and to the keys.
RUN printf '#!/bin/sh\nexec open-nsfw serve --host 0.0.0.0 "$@"\n' >/opt/open_nsfw/bin/serve && chmod 755 /opt/open_nsfw/bin/serve
# pycaffe's wheel has the library alone; this answers what people ask first.
RUN printf '%s\n' '#!/bin/sh' \
    '[ "$1" = --version ] && exec python -c "import caffe; print(\"caffe version\", caffe.__version__)"' \
    'echo "caffe: this image has pycaffe, not the program caffe: python -c \"import caffe\"" >&2' 'exit 2' \
    >/opt/open_nsfw/bin/caffe && chmod 755 /opt/open_nsfw/bin/caffe

FROM debian:bullseye-slim AS caffe
ARG EXTRAS
LABEL org.opencontainers.image.title="open_nsfw with real Caffe" \
    org.opencontainers.image.description="The probability that a picture is pornographic, by Yahoo's open_nsfw in pycaffe" \
    org.opencontainers.image.licenses="BSD-2-Clause"
RUN apt-get update && apt-get install --yes --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
COPY --from=caffe-build /opt/open_nsfw /opt/open_nsfw
ENV PATH=/opt/open_nsfw/bin:$PATH \
    OPEN_NSFW_MODEL_DIR=/opt/open_nsfw/model \
    OPEN_NSFW_CACHE=/var/cache/open_nsfw \
    OPEN_NSFW_IMAGE_BUILD="docker build --target caffe --tag open_nsfw_caffe" \
    OPEN_NSFW_IMAGE_EXTRAS=$EXTRAS \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 1000 --create-home open_nsfw
RUN python -c "import open_nsfw as o; [o.load_engine(engine='onnxruntime', precision=p) for p in ('float32', 'int8')]" && \
    chmod -R a+rX /var/cache/open_nsfw
USER 1000
WORKDIR /workspace
CMD ["classify_nsfw", "--help"]

FROM debian:trixie-slim AS build
ARG EXTRAS
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv
RUN python3 -m venv /opt/open_nsfw
COPY . /source
RUN /opt/open_nsfw/bin/pip install --no-cache-dir "/source${EXTRAS:+[$EXTRAS]}"
RUN ln -s /opt/open_nsfw/lib/python3.*/site-packages/open_nsfw/model /opt/open_nsfw/model
# Inside a container every address is its own: what may reach the service is up to `docker run -p`, and to the keys.
RUN printf '#!/bin/sh\nexec open-nsfw serve --host 0.0.0.0 "$@"\n' >/opt/open_nsfw/bin/serve && chmod 755 /opt/open_nsfw/bin/serve

FROM debian:trixie-slim
ARG EXTRAS
LABEL org.opencontainers.image.title="open_nsfw" \
    org.opencontainers.image.description="The probability that a picture is pornographic, by Yahoo's open_nsfw network" \
    org.opencontainers.image.licenses="BSD-2-Clause"
RUN apt-get update && apt-get install --yes --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/open_nsfw /opt/open_nsfw
ENV PATH=/opt/open_nsfw/bin:$PATH \
    OPEN_NSFW_MODEL_DIR=/opt/open_nsfw/model \
    OPEN_NSFW_CACHE=/var/cache/open_nsfw \
    OPEN_NSFW_IMAGE_BUILD="docker build --tag open_nsfw" \
    OPEN_NSFW_IMAGE_EXTRAS=$EXTRAS \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 1000 --create-home open_nsfw
RUN python -c "import open_nsfw as o; [o.load_engine(engine='onnxruntime', precision=p) for p in ('float32', 'int8')]" && \
    chmod -R a+rX /var/cache/open_nsfw
USER 1000
WORKDIR /workspace
CMD ["classify_nsfw", "--help"]
