#!/bin/sh
# Written by kubeboot. Keeps haproxy's servers those at which the cluster's API servers say that they live.
# A new one is added at once. One that is not named any more goes after an hour of answers without it, and
# never the last: what a machine knows when it wakes up must lead to the cluster. A cluster that does not
# answer changes nothing.
set -eu
LC_ALL=C
export LC_ALL
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin${KUBEBOOT_BACKENDS_PATH:+:$KUBEBOOT_BACKENDS_PATH}

dir=${KUBEBOOT_BACKENDS_DIR:-/etc/kubernetes/haproxy}
state=${KUBEBOOT_BACKENDS_STATE:-/run/kubeboot-backends}
kubeconfig=${KUBEBOOT_BACKENDS_KUBECONFIG:-/etc/kubernetes/kubelet.conf}
proc=${KUBEBOOT_BACKENDS_PROC:-/proc}
kubectl=${KUBEBOOT_BACKENDS_KUBECTL:-kubectl}
others=${KUBEBOOT_BACKENDS_OTHERS:-}
token=${KUBEBOOT_BACKENDS_TOKEN:-}
keep=3600
base=$dir/haproxy.base.cfg
config=$dir/haproxy.cfg
now=${KUBEBOOT_BACKENDS_NOW:-$(date +%s)}

[ -f "$base" ] && [ -f "$config" ] || exit 0
mkdir -p "$state"
umask 022

live() { # address:port, one a line
  "$kubectl" --kubeconfig "$kubeconfig" --cache-dir "$state/cache" --request-timeout=8s \
    get endpointslices.discovery.k8s.io kubernetes --namespace default \
    -o 'jsonpath={range .endpoints[*]}{.addresses[0]} {end}:{.ports[0].port}' |
    awk -F' :' 'NF == 2 && $2 ~ /^[0-9]+$/ {
      n = split($1, a, " ")
      for (i = 1; i <= n; i++) if (a[i] ~ /:/) print "[" a[i] "]:" $2; else if (a[i] ~ /^[0-9.]+$/) print a[i] ":" $2
    }' | sort -u
}

servers() { awk '$1 == "server" { print $3 }' "$config"; }

merge() { # what is named, and what was there and is not missing for long; notes since when
  : >"$state/missing.new"
  servers | while read -r server; do
    if grep -qxF "$server" "$state/live"; then
      continue
    fi
    since=$(awk -v s="$server" '$1 == s { print $2 }' "$state/missing" 2>/dev/null || true)
    since=${since:-$now}
    if [ $((now - since)) -lt "$keep" ]; then
      echo "$server"
      echo "$server $since" >>"$state/missing.new"
    fi
  done >"$state/kept"
  mv "$state/missing.new" "$state/missing"
  sort -u "$state/live" "$state/kept"
}

lines() { # the machine's own server, the only one without the mark, keeps its place
  own=$(awk '$1 == "server" && $4 == "" { print $3 }' "$config")
  while read -r server; do
    mark=$others
    for mine in $own; do
      [ "$server" != "$mine" ] || mark=
    done
    echo "    server $server $server${mark:+ $mark}"
  done
}

renew() { # a machine that is no Node has a token of its own, and asks for the next one every hour
  [ -n "$token" ] && [ -n "$(find "$token" -mmin +60 2>/dev/null)" ] || return 0
  (
    umask 077
    "$kubectl" --kubeconfig "$kubeconfig" --cache-dir "$state/cache" --request-timeout=8s \
      create token kubeboot-load-balancer --namespace kube-system \
      --duration="${KUBEBOOT_BACKENDS_TOKEN_HOURS:-24}h" >"$token.new" && sync "$token.new" && mv "$token.new" "$token"
  ) || { rm -f "$token.new"; echo "no new token; the one that is there stays" >&2; }
}

master() { # the haproxy with our config whose parent is not one itself
  ours=" "
  for place in "$proc"/[0-9]*; do
    case $(tr '\0' ' ' 2>/dev/null <"$place/cmdline") in
      haproxy\ *"-f $config "*) ours="$ours${place##*/} " ;;
    esac
  done
  for pid in $ours; do
    parent=$(awk '/^PPid:/ { print $2 }' "$proc/$pid/status" 2>/dev/null) || continue
    case $ours in
      *" $parent "*) ;;
      *) echo "$pid" ;;
    esac
  done
}

reload() { # once for each content; without haproxy there is nothing to do, it will read the file
  sum=$(cksum <"$config")
  [ "$sum" != "$(cat "$state/loaded" 2>/dev/null || true)" ] || return 0
  pids=$(master)
  [ -n "$pids" ] || return 0
  for pid in $pids; do
    ${KUBEBOOT_BACKENDS_KILL:-kill} -USR2 "$pid"
  done
  echo "$sum" >"$state/loaded"
}

unchanged() {
  echo "$1; nothing changed" >&2
  exit 0
}

reload # what was mended meanwhile is read first: it may be the way to the cluster
renew
live >"$state/live.new" || unchanged "the cluster does not answer"
[ -s "$state/live.new" ] || unchanged "the cluster names no API server"
mv "$state/live.new" "$state/live"
merge >"$state/wanted"
{
  cat "$base"
  lines <"$state/wanted"
} >"$dir/.haproxy.cfg.new"
if [ "$(servers | sort)" != "$(sort "$state/wanted")" ]; then
  chmod 644 "$dir/.haproxy.cfg.new"
  sync "$dir/.haproxy.cfg.new" 2>/dev/null || true
  mv "$dir/.haproxy.cfg.new" "$config"
  echo "servers: $(tr '\n' ' ' <"$state/wanted")"
else
  rm -f "$dir/.haproxy.cfg.new"
fi
reload
