# Sourced by ./demo and ./test: installs what they need on the host, and the Python environment in .venv.
# Asks nothing; what it installs, it names.

prepare_packages() {
    missing=""
    for package in "$@"; do
        dpkg-query --show --showformat='${db:Status-Abbrev}\n' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    if [ "$(id -u)" != 0 ]; then
        echo "Not installed, and only root can do it:$missing" >&2
        return 1
    fi
    echo "Installing on this machine:$missing"
    log=$(mktemp)
    # shellcheck disable=SC2086 # the list is words
    if ! { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $missing; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        echo "These packages could not be installed:$missing" >&2
        return 1
    fi
    rm -f "$log"
}

# The environment is made anew when the pinned versions change; a half-made one has no stamp.
prepare_environment() {
    requirements=$1
    stamp=".venv/stamp-$(basename "$requirements" .txt)-$(sha256sum "$requirements" pyproject.toml | sha256sum | cut -c1-16)"
    [ -e "$stamp" ] && return 0
    echo "Making the Python environment .venv from $requirements"
    if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        rm -rf .venv
        /usr/bin/python3 -m venv .venv
    fi
    .venv/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r "$requirements" 2>&1 | grep -v '^WARNING: Location' || true
    .venv/bin/python -m pip --quiet --disable-pip-version-check install --no-deps --no-build-isolation --editable . 2>&1 | grep -v '^WARNING: Location' || true
    .venv/bin/python -m compileall -q src
    rm -f .venv/stamp-*
    touch "$stamp"
    # What the tests need contains what the program needs.
    if [ "$requirements" = requirements/development.txt ]; then
        touch ".venv/stamp-runtime-$(sha256sum requirements/runtime.txt pyproject.toml | sha256sum | cut -c1-16)"
    fi
}
