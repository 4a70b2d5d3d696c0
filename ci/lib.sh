# What the steps in this folder share. A step sources it first; it then stands at the repository's
# root, with `cargo` on the path, and stops at the first command that fails.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v cargo >/dev/null || PATH="$HOME/.cargo/bin:$PATH"

# Each variant of the build keeps a folder of its own below this one.
target="${CARGO_TARGET_DIR:-$PWD/target}"

in_ci() { [[ ${CI:-} == true ]]; }

# Where everything is built once and nothing is looked at in a debugger, a build takes half the time
# without what only a second build or a debugger would use.
if in_ci; then
    export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=line-tables-only
fi

# The tests of a variant of the build, without the documentation, which is the same in all. Some
# tests run the examples. `test_variant [+TOOLCHAIN] ARGUMENT... -- ARGUMENT...`
test_variant() {
    local cargo=(cargo) build=()
    [[ ${1:-} != +* ]] || { cargo+=("$1") && shift; }
    while (($#)) && [[ $1 != -- ]]; do
        build+=("$1")
        shift
    done
    run "${cargo[@]}" build "${build[@]}" --package lisle --examples
    run "${cargo[@]}" test "${build[@]}" --workspace --tests --no-fail-fast "$@"
}

fail() {
    echo "failed: $*" >&2
    exit 1
}

# Ends the step because this machine cannot run it. On CI that is a failure: a step
# that is skipped for ever would not be noticed.
skip() {
    echo "skipped: $*"
    ! in_ci || exit 1
    exit 0
}

# Prints a command, then runs it.
run() {
    printf '+'
    printf ' %q' "$@"
    printf '\n'
    "$@"
}

# need COMMAND PACKAGE...: has COMMAND. CI installs Debian's packages for it, a contributor is told.
need() {
    local command="$1" root=()
    shift
    ! command -v "$command" >/dev/null || return 0
    in_ci || skip "no $command; on Debian: apt-get install $*"
    [[ $EUID == 0 ]] || root=(sudo -n)
    run "${root[@]}" apt-get update
    run "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "$@"
}

# need_rustup COMMAND... -- ARGUMENT...: has what makes COMMAND succeed. CI gets it with
# `rustup ARGUMENT...`, a contributor is told.
need_rustup() {
    local check=()
    while [[ $1 != -- ]]; do
        check+=("$1")
        shift
    done
    shift
    ! "${check[@]}" >/dev/null 2>&1 || return 0
    in_ci || skip "this needs: rustup $*"
    run rustup "$@"
}

# Whatever links needs a C compiler.
need_linker() { need cc gcc libc6-dev; }
