# syntax=docker/dockerfile:1
# Build from the root of the repository:
#   docker build -f deploy/docker/collector.Dockerfile -t vervet-collector:0.1.0 .
# RUST_VERSION is the one of rust-toolchain.toml; deploy/check.sh compares them.
ARG RUST_VERSION=1.95.0
ARG NODE_VERSION=24

FROM node:${NODE_VERSION}-bookworm-slim AS web
WORKDIR /src/dashboards
COPY dashboards/package.json dashboards/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY dashboards ./
RUN npm run build

FROM rust:${RUST_VERSION}-bookworm AS build
ARG RUST_VERSION
# The image's own toolchain is the pinned one; without this rustup would fetch the linters that the file lists.
ENV RUSTUP_TOOLCHAIN=${RUST_VERSION}
WORKDIR /src
COPY . .
COPY --from=web /src/dashboards/dist dashboards/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p vervet-collector --bin vervet-collector \
    && install -D -s target/release/vervet-collector /out/usr/local/bin/vervet-collector \
    && install -d -m 0750 -o 65532 -g 65532 /out/var/lib/vervet

# glibc, libgcc and the system's certificate authorities; no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/ /
USER 65532:65532
WORKDIR /var/lib/vervet
# The data folder and, for queries that spill, /tmp are all that is written: run with a read-only root.
VOLUME ["/var/lib/vervet"]
EXPOSE 7420 4317 4318
ENTRYPOINT ["/usr/local/bin/vervet-collector"]
CMD ["run", "--config", "/etc/vervet/collector.yaml"]
