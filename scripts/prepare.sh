#!/usr/bin/env bash
# Installs what a fresh Debian machine lacks: `prepare.sh build` what it takes to compile Magpie,
# `prepare.sh test` also the mail programs and checkers that the tests drive, `prepare.sh compare` the servers that
# Magpie is compared with. Silent when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=${1:?usage: prepare.sh build|test|compare}
tools="$PWD/.cache/tools"

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { printf '\033[1;31merror:\033[0m %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

# Installs the Debian packages named, after saying so.
install_packages() {
    [[ $# -gt 0 ]] || return 0
    have apt-get || die "these programs are missing and this is not a Debian machine, so please install what provides: $*"
    if [[ $(id -u) -ne 0 ]] && ! have sudo; then
        die "these packages are missing; install them as root, then run this again: apt-get install $*"
    fi
    say "installing with apt: $*"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

# The same for packages that would start a service. The comparison runs instances of its own: nothing of the
# machine's is to be started, or to take the ports of mail.
install_servers() {
    [[ $# -gt 0 ]] || return 0
    local policy=/usr/sbin/policy-rc.d ours=
    if [[ ! -e $policy ]]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    # Without a configuration of its own, Postfix does not ask for one and does not start.
    if have debconf-set-selections; then
        echo 'postfix postfix/main_mailer_type select No configuration' | as_root debconf-set-selections
    fi
    local status=0
    install_packages "$@" || status=$?
    [[ -z $ours ]] || as_root rm -f "$policy"
    return $status
}

# OpenSMTPD, of which Debian allows no machine to have more than the files when it has Postfix. They go to
# .cache/opensmtpd, and what they need is installed.
unpack_opensmtpd() {
    local folder=$PWD/.cache/opensmtpd parts
    [[ -x $folder/usr/sbin/smtpd ]] && return 0
    have apt-get || die "OpenSMTPD is missing and this is not a Debian machine: put its files below $folder"
    say "unpacking OpenSMTPD into .cache/opensmtpd"
    as_root apt-get update -qq
    parts=$(mktemp -d)
    (cd "$parts" && apt-get download -qq opensmtpd 2>/dev/null)
    # A half of it would be taken for the whole next time.
    mkdir -p "$folder.new"
    dpkg-deb -x "$parts"/opensmtpd_*.deb "$folder.new"
    rm -rf "$parts"
    mapfile -t parts < <(apt-cache depends opensmtpd | sed -nE 's/^ *(Pre)?Depends: (lib[a-z0-9.+-]+)$/\2/p')
    [[ -z $(ldd "$folder.new/usr/sbin/smtpd" | grep 'not found') ]] || install_packages "${parts[@]}"
    mv "$folder.new" "$folder"
}

# Cyrus, of which Debian allows no machine to have more than the files when it has Dovecot's IMAP server. They go to
# .cache/cyrus, and so do the libraries that only it needs: nothing of the machine changes.
unpack_cyrus() {
    local folder=$PWD/.cache/cyrus parts package packages=(cyrus-common cyrus-imapd cyrus-caldav)
    [[ -x $folder/usr/lib/cyrus/bin/httpd ]] && return 0
    have apt-get || die "Cyrus is missing and this is not a Debian machine: put its files below $folder"
    say "unpacking Cyrus into .cache/cyrus"
    as_root apt-get update -qq
    for package in $(apt-cache depends "${packages[@]}" | sed -nE 's/^ *(Pre)?Depends: (lib[a-z0-9.+-]+)$/\2/p' | sort -u); do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || packages+=("$package")
    done
    parts=$(mktemp -d)
    (cd "$parts" && apt-get download -qq "${packages[@]}" 2>/dev/null)
    rm -rf "$folder.new"
    mkdir -p "$folder.new"
    for package in "$parts"/*.deb; do dpkg-deb -x "$package" "$folder.new"; done
    rm -rf "$parts"
    mv "$folder.new" "$folder"
}

check_rust() {
    local wanted found
    wanted=$(sed -nE 's/^rust-version = "(.*)"/\1/p' Cargo.toml)
    have cargo && have rustc || die "Rust is missing. Magpie needs version $wanted or newer.
       Install it from https://rustup.rs (Debian 13 and later: apt install rustup && rustup default stable),
       open a new shell so that cargo is on the PATH, then run this again."
    found=$(rustc --version | sed -nE 's/^rustc ([0-9]+\.[0-9]+).*/\1/p')
    if [[ $(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -1) != "$wanted" ]]; then
        die "Rust $found is too old: Magpie needs $wanted or newer. Run: rustup update stable"
    fi
}

# Cargo subcommands go under .cache/tools, so that nothing outside the checkout changes. They are built without
# optimisation: what they do takes seconds either way, and building them takes a third of the time.
install_cargo_tool() {
    local crate=$1 version=$2
    have "$crate" || [[ -x $tools/bin/$crate ]] && return 0
    say "building $crate into .cache/tools (a minute or three, once)"
    cargo install --quiet --debug --locked --root "$tools" --version "$version" "$crate"
}

build_packages=()
have cc || build_packages+=(build-essential)

test_packages=()
# Each program that the tests start, and the package that brings it.
need() { have "$1" || [[ -x /usr/sbin/$1 ]] || test_packages+=("$2"); }

if [[ $purpose == test ]]; then
    need python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || test_packages+=(python3-venv)
    need swaks swaks
    need msmtp msmtp
    # swaks speaks TLS only with this Perl module.
    perl -MNet::SSLeay -e 1 2>/dev/null || test_packages+=(libnet-ssleay-perl)
    need curl curl
    need openssl openssl
    need neomutt neomutt
    need node nodejs
    need npm npm
    need mbsync isync
    # What mbsync logs in with by SCRAM.
    [[ -n $(find /usr/lib -name 'libscram.so' -path '*sasl2*' -print -quit) ]] || test_packages+=(libsasl2-modules)
    need gsasl gsasl
    need offlineimap offlineimap3
    need getmail getmail6
    need fetchmail fetchmail
    need unshare util-linux
    need smtp-source postfix
    need mkfs.ext4 e2fsprogs
    need losetup mount
    # Turns fsync into nothing: the negative control of the power-loss tests.
    need eatmydata eatmydata
fi

servers=()
if [[ $purpose == test ]]; then
    # The stage `dovecot` asks it the same questions as Magpie.
    have dovecot || [[ -x /usr/sbin/dovecot ]] || servers+=(dovecot-core)
    # The authority for the names of the tests' own internet.
    [[ -x /usr/sbin/knotd ]] || servers+=(knot)
    [[ -x /usr/lib/dovecot/imap ]] || servers+=(dovecot-imapd)
    # Brings promtool, which checks what /metrics tells.
    have promtool || servers+=(prometheus)
fi
if [[ $purpose == compare ]]; then
    need python3 python3
    need strace strace
    have dovecot || [[ -x /usr/sbin/dovecot ]] || servers+=(dovecot-core)
    for protocol in imap pop3 lmtp; do
        [[ -x /usr/lib/dovecot/$protocol ]] || servers+=("dovecot-${protocol}d")
    done
    [[ -x /usr/sbin/postfix ]] || servers+=(postfix)
fi

install_packages "${build_packages[@]}" "${test_packages[@]}"
[[ $purpose != test ]] || unpack_opensmtpd
[[ $purpose == build ]] || unpack_cyrus
install_servers "${servers[@]}"
check_rust

if [[ $purpose == test ]]; then
    install_cargo_tool cargo-deny 0.20.2
    # nextest is quicker to read and kills hanging tests, but plain `cargo test` runs the same tests.
    install_cargo_tool cargo-nextest 0.9.143 || say "cargo-nextest could not be installed; cargo test runs instead"
    if [[ ! .cache/venv/stamp -nt tests/requirements.txt ]]; then
        say "installing pytest into .cache/venv"
        python3 -m venv --clear .cache/venv
        .cache/venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
        touch .cache/venv/stamp
    fi
    if [[ ! .cache/node/package.json -nt tests/blackbox/node/package.json ]]; then
        say "installing the mail libraries for Node.js into .cache/node"
        mkdir -p .cache/node
        npm install --silent --no-package-lock --no-audit --no-fund --prefix .cache/node \
            $(node -p 'Object.entries(require("./tests/blackbox/node/package.json").dependencies).map(d => d.join("@")).join(" ")')
        touch .cache/node/package.json
    fi
    if [[ ! .cache/jmap-jam/stamp -nt tests/jmap/node/package-lock.json ]]; then
        say "installing a JMAP client for Node.js into .cache/jmap-jam"
        mkdir -p .cache/jmap-jam
        cp tests/jmap/node/package*.json .cache/jmap-jam
        npm ci --silent --no-audit --no-fund --prefix .cache/jmap-jam
        touch .cache/jmap-jam/stamp
    fi
fi
