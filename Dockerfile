# docker build -t ncgopt .
# docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/models" ncgopt optimize model.onnx

FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml setup.py README.md LICENSE ./
COPY ncgopt ncgopt
COPY cli cli
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist . \
 && python -m venv /opt/ncgopt \
 && /opt/ncgopt/bin/pip install --no-cache-dir /dist/*.whl

FROM python:3.12-slim-bookworm
RUN useradd --create-home --uid 1000 ncgopt
COPY --from=build /opt/ncgopt /opt/ncgopt
ENV PATH="/opt/ncgopt/bin:$PATH"
USER 1000
WORKDIR /models
ENTRYPOINT ["ncgopt"]
CMD ["--help"]
