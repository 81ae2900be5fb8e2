"""Scripts that only look. Status 44: there is no such thing."""

from kubeboot.host import sums

READ = """\
[ -e "$1" ] && [ ! -d "$1" ] || exit 44
exec cat -- "$1"
"""

STAT = """\
[ -e "$1" ] || [ -L "$1" ] || exit 44
stat -c '%f %u %g %s' -- "$1" || exit
if [ -L "$1" ]; then readlink -n -- "$1"; fi
"""

STATS = """\
stat -c '%f %u %g %s %n' -- "$@" 2>/dev/null
for path; do
    if [ -L "$path" ]; then printf 'LINK %s\\n%s\\n' "$path" "$(readlink -- "$path")"; fi
done
exit 0
"""

READS = """\
for path; do
    shift
    if [ -e "$path" ] && [ ! -d "$path" ]; then set -- "$@" "$path"; fi
done
[ $# -gt 0 ] || exit 0
wc -c -- "$@" && echo "BYTES" && cat -- "$@"
"""

STATE = f"""\
state() {{ # PATH...
    stat -c "{sums.STATE}" -- "$@"
}}
"""
"""What the notes know a file by."""

_SUM = (
    STATE
    + """\
notes=$1
shift
[ -r "$notes" ] || notes=/dev/null
sums() { # sha256sum, but for files that are as they were when their sums were noted
    state "$@" 2>/dev/null | while IFS= read -r now; do
        sum=
        while IFS= read -r line; do
            [ "${line#* }" != "$now" ] || sum=${line%% *}
        done <"$notes"
        path=${now#* * * * }
        [ "$sum" ] || { sum=$(sha256sum 2>/dev/null <"$path") && sum=${sum%% *}; } || continue
        printf '%s  %s\\n' "$sum" "$path"
    done
}
"""
)

SHA256 = f"""\
{_SUM}[ -e "$1" ] && [ ! -d "$1" ] || exit 44
found=$(sums "$1") && [ "$found" ] || exec sha256sum <"$1"
echo "$found"
"""
"""NOTES PATH: a file's sum."""

SUMS = f"""\
{_SUM}sums "$@"
exit 0
"""
"""NOTES PATH...: the sums of those that are files."""

LISTDIR = """\
[ -d "$1" ] && cd -- "$1" || exit 44
for name in * .[!.]* ..?*; do
    if [ -e "$name" ] || [ -L "$name" ]; then printf '%s\\0' "$name"; fi
done
"""

REAL_PATH = """\
exec readlink -f -- "$1"
"""

FREE = """\
path=$1
while [ ! -e "$path" ]; do path=$(dirname -- "$path"); done
exec stat -f -c '%a %S' -- "$path"
"""

UNIT = """\
shown=$(systemctl show --property="$2" -- "$1") || exit
printf '%s\\nENVIRON\\n' "$shown"
pid=${shown#*MainPID=}
pid=${pid%%[!0-9]*}
[ "${pid:-0}" -eq 0 ] || cat "/proc/$pid/environ" 2>/dev/null
exit 0
"""

MODULE = """\
[ -e "/sys/module/$1" ] || { [ "$2" ] && [ -e "$2" ]; } ||
    grep -q "$3" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null || exit 44
"""

LISTENERS = """\
for name in tcp tcp6 udp udp6; do
    echo "NET $name"
    cat "/proc/net/$name" 2>/dev/null
done
echo "OWNERS"
ls -l /proc/[0-9]*/fd 2>/dev/null | grep -e '^/proc/' -e 'socket:'
echo "NAMES"
for folder in /proc/[0-9]*; do
    { IFS= read -r name <"$folder/comm"; } 2>/dev/null && printf '%s %s\\n' "${folder#/proc/}" "$name"
done
exit 0
"""

PROCESSES = """\
for folder in /proc/[0-9]*; do
    { IFS= read -r name <"$folder/comm"; } 2>/dev/null || continue
    printf '%s\\0%s\\0' "${folder#/proc/}" "$name"
    { while IFS= read -r line; do printf '%s\\n' "$line"; done <"$folder/cgroup"; } 2>/dev/null
    printf '\\0'
    { tr '\\0' '\\1' <"$folder/cmdline"; } 2>/dev/null
    printf '\\0'
done
"""
