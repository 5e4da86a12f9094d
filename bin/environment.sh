# Sourced by bin/yyt, bin/demo and bin/test: makes .venv when it is missing, renews it when
# setup.cfg changed. All three share it; `prepare test` only adds to what `prepare run` installs.
# Everything said here goes to stderr: stdout belongs to the program itself.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
me="bin/$(basename "$0")"

say() { printf '%s: %s\n' "$me" "$*" >&2; }
fail() { say "$*"; exit 1; }

# The kind is `run` (run-time packages only, no compiler) or `test` (and the tools of the gate).
prepare() {
    local kind=$1 want
    want=$(cd "$root" && { sha256sum setup.cfg pyproject.toml; echo "$root"; } | sha256sum)
    is_fresh "$kind" "$want" && return
    mkdir -p "$root/var"
    exec 9>"$root/var/.venv.lock" # two launchers at once: the second waits and finds it done
    flock -n 9 || { say "waiting for another set-up to finish"; flock 9; }
    if ! is_fresh "$kind" "$want"; then
        install_debian_packages "$kind"
        make_venv
        install_packages "$kind"
        echo "$want" >"$root/.venv/.stamp-$kind"
    fi
    exec 9>&-
}

is_fresh() {
    local stamp
    for stamp in "$root/.venv/.stamp-$1" "$root/.venv/.stamp-test"; do
        [ -r "$stamp" ] && [ "$(cat "$stamp")" = "$2" ] && "$root/.venv/bin/python" -c '' && return
    done 2>/dev/null
    return 1
}

# A fresh Debian has a Python that cannot make environments; unshare lets root start PostgreSQL.
install_debian_packages() {
    local kind=$1 missing=()
    find_python || missing+=(python3 python3-venv)
    command -v unshare >/dev/null || missing+=(util-linux)
    [ "$kind" = run ] || missing_for_tests
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "please install first: ${missing[*]} (Debian's names; Python 3.11 or newer)"
    fi
    say "installing Debian packages: ${missing[*]}"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install \
        --no-install-recommends "${missing[@]}"; } >"$root/var/apt.log" 2>&1 ||
        { tail -n 20 "$root/var/apt.log" >&2; fail "apt-get failed (var/apt.log)"; }
    find_python || fail "python3 is older than 3.11, or cannot make environments"
}

# Adds to `missing`: the PKCS#11 token of the tests; a browser and Chinese letters for it; an IPP
# printer, with the message bus that it wants to see; pcscd with a virtual reader, and what it takes
# to build pyscard, which comes as source only.
missing_for_tests() {
    command -v softhsm2-util >/dev/null || missing+=(softhsm2)
    [ -x /usr/bin/chromium ] || missing+=(chromium)
    [ -e /usr/share/fonts/truetype/wqy/wqy-microhei.ttc ] || missing+=(fonts-wqy-microhei)
    [ -x /usr/sbin/ippeveprinter ] || missing+=(cups-ipp-utils)
    command -v dbus-daemon >/dev/null || missing+=(dbus-daemon)
    [ -x /usr/sbin/pcscd ] || missing+=(pcscd libpcsclite1)
    [ -e /usr/lib/pcsc/drivers/serial/libifdvpcd.so ] || missing+=(vsmartcard-vpcd)
    command -v pcsc_scan >/dev/null || missing+=(pcsc-tools)
    [ -e /usr/include/PCSC/winscard.h ] || missing+=(libpcsclite-dev)
    command -v swig >/dev/null || missing+=(swig)
    command -v gcc >/dev/null && [ -e /usr/include/stdio.h ] || missing+=(gcc libc6-dev)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    find_python && "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
        missing+=(python3-dev)
}

# The distribution's own Python first: a distribution builds it with profile-guided optimisation,
# and a plain build that stands earlier on PATH may be half as fast. YYT_PYTHON names another.
find_python() {
    for python in ${YYT_PYTHON:-/usr/bin/python3 python3}; do
        "$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
            return
    done
    return 1
}

make_venv() {
    "$root/.venv/bin/python" -m pip --version >/dev/null 2>&1 && return
    find_python
    say "making .venv with $python, $("$python" --version)"
    rm -rf "$root/.venv"
    "$python" -m venv "$root/.venv" || fail "$python -m venv failed"
}

install_packages() {
    local kind=$1 target="$root" began=$SECONDS log="$root/var/pip-$1.log" source=()
    [ "$kind" = test ] && target="$root[test]" source=(--no-binary=pyscard)
    say "installing packages for $kind (first time: downloads, a minute or so)"
    # Binary packages only: no compiler is needed, and none is tried behind the user's back. The
    # tests alone build one, pyscard.
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore \
        "$root/.venv/bin/python" -m pip install --only-binary=:all: "${source[@]}" \
        --progress-bar off --editable "$target" 2>&1 | tee "$log" | show_progress ||
        { tail -n 20 "$log" >&2; fail "pip failed ($log)"; }
    say "packages are ready ($((SECONDS - began)) s)"
}

# pip's own lines, thinned to the names of what it fetches and the last long step.
show_progress() {
    sed -un -e 's/^Collecting \([A-Za-z0-9_.-]*\).*/  \1/p' \
        -e 's/^Installing collected packages.*/  unpacking .../p' >&2
}
