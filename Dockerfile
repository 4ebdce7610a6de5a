# One image for the web process and the workers, on CPU and GPU; the command decides which.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY unskew unskew
COPY backend backend
COPY workers workers
COPY frontend frontend
RUN python -m venv /opt/unskew && /opt/unskew/bin/pip install --no-cache-dir --constraint constraints.txt ".[s3,oidc]"

FROM python:3.12-slim
RUN useradd --create-home --uid 1000 unskew && install -d -o unskew -g unskew /data
COPY --from=build /opt/unskew /opt/unskew
ENV PATH=/opt/unskew/bin:$PATH UNSKEW_DATA=/data PYTHONUNBUFFERED=1
USER unskew
WORKDIR /data
VOLUME /data
EXPOSE 8501
CMD ["unskew", "up"]
