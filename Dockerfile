# syntax=docker/dockerfile:1
# The service and its tools in one static program: no shell, no libraries, no user but its own.
#   docker build -t boxoffice .
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# With .git: the program tells by "boxoffice version" what it was built from.
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/boxoffice ./cmd/boxoffice

# Time zones are in the program; certificates of public authorities are not.
FROM scratch
LABEL org.opencontainers.image.title="Boxoffice" \
      org.opencontainers.image.description="Ticket sales on PostgreSQL and Kafka, with a log that proves them" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/boxoffice /boxoffice
# Metrics, profiles and health on all of the container's addresses: publish 8080 only.
ENV METRICS_ADDR=:9090 LOG_FORMAT=json
USER 65532:65532
EXPOSE 8080 9090
# It asks the process itself; every role answers.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s CMD ["/boxoffice", "ready"]
ENTRYPOINT ["/boxoffice"]
CMD ["serve"]
