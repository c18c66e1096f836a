FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY main.go ./
COPY sync sync
COPY clusters clusters
COPY manifests manifests
ARG VERSION=devel
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.releaseVersion=$VERSION" -o /xcc .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /xcc /xcc
USER nonroot
ENTRYPOINT ["/xcc"]
CMD ["sync"]
