#!/bin/sh
# What the container runs: the service by default, or any other command. It writes nothing to the log.
set -eu
export BENTOML_PORT="${PORT:-${BENTOML_PORT:-3000}}"
case "${1-}" in
    "" | -*) set -- serve "$@" ;;
esac
if [ "$1" = serve ]; then
    shift
    exec bentoml serve "$@" "$BENTO_PATH"
fi
exec "$@"
