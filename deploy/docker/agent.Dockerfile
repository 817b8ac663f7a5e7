# syntax=docker/dockerfile:1
# Build from the root of the repository:
#   docker build -f deploy/docker/agent.Dockerfile -t vervet-agent:0.1.0 .
# RUST_VERSION is the one of rust-toolchain.toml; deploy/check.sh compares them.
ARG RUST_VERSION=1.95.0

FROM rust:${RUST_VERSION}-bookworm AS build
ARG RUST_VERSION
# The image's own toolchain is the pinned one; without this rustup would fetch the linters that the file lists.
ENV RUSTUP_TOOLCHAIN=${RUST_VERSION}
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p vervet-agent --bin vervet-agent \
    && install -D -s target/release/vervet-agent /out/usr/local/bin/vervet-agent \
    && install -d -m 0750 -o 65532 -g 65532 /out/var/lib/vervet-agent

# glibc, libgcc and the system's certificate authorities; no shell.
# The image runs as 65532. On a node the manifests run it as root without capabilities, to read log files of root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/ /
USER 65532:65532
WORKDIR /var/lib/vervet-agent
# The data folder is all that is written: run with a read-only root.
VOLUME ["/var/lib/vervet-agent"]
EXPOSE 4317 4318
ENTRYPOINT ["/usr/local/bin/vervet-agent"]
CMD ["run", "--config", "/etc/vervet/agent.yaml"]
