# Two images from one file:
#   docker build --target server -t hpsearch-server .
#   docker build --target worker -t hpsearch-worker .
#   docker build --target worker -t hpsearch-worker-gpu --build-arg WORKER_EXTRA=gpu --build-arg WORKER_LOCK=requirements-gpu.lock .
ARG PYTHON_VERSION=3.12

# --- the wheel, and an environment for each image ---------------------------------------------------------------------
FROM python:${PYTHON_VERSION}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
WORKDIR /src
COPY .ci/requirements.py .ci/requirements.py
COPY requirements.lock requirements-gpu.lock pyproject.toml README.md LICENSE ./
COPY hpsearch hpsearch
COPY api api
COPY workers workers
COPY migrations migrations
RUN python -m venv /opt/build && /opt/build/bin/python .ci/requirements.py wheel

FROM build AS server-environment
RUN python -m venv /opt/hpsearch \
 && /opt/build/bin/python .ci/requirements.py install /opt/hpsearch server,s3 requirements.lock

FROM build AS worker-environment
ARG WORKER_EXTRA=worker
ARG WORKER_LOCK=requirements.lock
RUN python -m venv /opt/hpsearch \
 && /opt/build/bin/python .ci/requirements.py install /opt/hpsearch ${WORKER_EXTRA} ${WORKER_LOCK}
# For this kind of processor; on another the first worker compiles them once more.
RUN /opt/hpsearch/bin/python -c "from hpsearch import _layout; _layout.load('workers.training.native.__main__').main()"

# --- what both images share: an ordinary user with a folder of its own ------------------------------------------------
FROM python:${PYTHON_VERSION}-slim AS base
RUN useradd --uid 10001 --user-group --create-home --home-dir /home/hpsearch hpsearch \
 && install -d -o hpsearch -g hpsearch -m 0700 /data /tokens
ENV PATH=/opt/hpsearch/bin:$PATH PYTHONUNBUFFERED=1 HPSEARCH_DATA_DIR=/data
USER hpsearch
WORKDIR /home/hpsearch
ENTRYPOINT ["hpsearch"]

# --- the server: no TensorFlow ----------------------------------------------------------------------------------------
FROM base AS server
COPY --from=server-environment /opt/hpsearch /opt/hpsearch
EXPOSE 8000
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]

# --- the worker: no database, no web framework ------------------------------------------------------------------------
FROM base AS worker
COPY --from=worker-environment /opt/hpsearch /opt/hpsearch
CMD ["worker"]
