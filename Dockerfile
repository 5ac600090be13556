# docker build -t open_nsfw .                     scores with ONNX Runtime, on Debian 13 (the last stage is the default)
# docker build -t open_nsfw --target caffe .      scores with real pycaffe, on Debian 11, whose Python 3.9 pycaffe needs
# docker run --volume=$(pwd):/workspace open_nsfw classify_nsfw test_image.jpg
#
# For each of the two, a stage with pip's leftovers fills /opt/open_nsfw, and the image takes that folder alone. It is a
# virtual environment, because Debian lets nobody but its own packages write into its Python.
#
# What the image sets for the command:
#   OPEN_NSFW_MODEL_DIR    the packaged model, for a checkout mounted at /workspace whose own nsfw_model/ has no weights
#   OPEN_NSFW_CACHE        where the converted model lies already, so that the first run is as fast as the next
#   ORT_DISABLE_TELEMETRY  newer releases of ONNX Runtime report to their maker unless told not to

FROM debian:bullseye-slim AS caffe-build
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv
# Debian 11's own pip is from 2020 and cannot be relied on with today's wheels.
RUN python3 -m venv /opt/open_nsfw && /opt/open_nsfw/bin/pip install --no-cache-dir --upgrade pip
COPY . /source
RUN /opt/open_nsfw/bin/pip install --no-cache-dir "/source[caffe]"
RUN ln -s /opt/open_nsfw/lib/python3.*/site-packages/open_nsfw/model /opt/open_nsfw/model

FROM debian:bullseye-slim AS caffe
RUN apt-get update && apt-get install --yes --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
COPY --from=caffe-build /opt/open_nsfw /opt/open_nsfw
ENV PATH=/opt/open_nsfw/bin:$PATH \
    OPEN_NSFW_MODEL_DIR=/opt/open_nsfw/model \
    OPEN_NSFW_CACHE=/var/cache/open_nsfw \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 1000 --create-home open_nsfw && install --directory --owner=open_nsfw /var/cache/open_nsfw
USER 1000
RUN python -c "import open_nsfw; open_nsfw.load_model(engine='onnxruntime')" && chmod -R a+rX /var/cache/open_nsfw
WORKDIR /workspace
CMD ["classify_nsfw", "--help"]

FROM debian:trixie-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv
RUN python3 -m venv /opt/open_nsfw
COPY . /source
RUN /opt/open_nsfw/bin/pip install --no-cache-dir /source
RUN ln -s /opt/open_nsfw/lib/python3.*/site-packages/open_nsfw/model /opt/open_nsfw/model

FROM debian:trixie-slim
RUN apt-get update && apt-get install --yes --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/open_nsfw /opt/open_nsfw
ENV PATH=/opt/open_nsfw/bin:$PATH \
    OPEN_NSFW_MODEL_DIR=/opt/open_nsfw/model \
    OPEN_NSFW_CACHE=/var/cache/open_nsfw \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 1000 --create-home open_nsfw && install --directory --owner=open_nsfw /var/cache/open_nsfw
USER 1000
RUN python -c "import open_nsfw; open_nsfw.load_model(engine='onnxruntime')" && chmod -R a+rX /var/cache/open_nsfw
WORKDIR /workspace
CMD ["classify_nsfw", "--help"]
