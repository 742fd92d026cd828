# The balancer as a container: one executable on a plain Debian, not as root. What it needs of the outside is a configuration
# in /etc/plimsoll/plimsoll.yaml. How to use it, and what could not be tried here: docs/container.md

FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY . .
# Without install scripts: Bun's binary is found in its platform package. Tools for tests are left out.
RUN ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev"]
RUN ["node", "tools/bun.mjs", "tools/build.ts"]

FROM debian:bookworm-slim
COPY --from=build /src/dist/plimsoll /usr/local/bin/plimsoll
COPY LICENSE /usr/share/doc/plimsoll/LICENSE
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /etc/plimsoll
# Where the example listens. The admin address is loopback, within the container, unless you choose otherwise.
EXPOSE 8080
# As an exec form each: no shell stands between the signal and the program, and none is needed.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 CMD ["plimsoll", "status", "--ready"]
ENTRYPOINT ["plimsoll"]
CMD ["run", "-c", "/etc/plimsoll/plimsoll.yaml", "--log-format", "json"]
