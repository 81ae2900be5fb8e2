# sh prober.sh SECONDS NAME: one write after another to ConfigMap NAME through this machine's haproxy, each with a
# new connection and a second to answer; prints when each was acknowledged, and its number
end=$(($(date +%s) + $1))
sed 's#server: .*#server: https://127.0.0.1:8443#' /root/admin.conf >/root/prober.conf
n=0
while [ "$(date +%s)" -lt "$end" ]; do
  n=$((n + 1))
  if kubectl --kubeconfig /root/prober.conf --request-timeout=1s patch configmap "$2" --type merge \
    -p "{\"data\":{\"n$n\":\"$n\"}}" >/dev/null 2>&1; then
    echo "$(date +%s.%N) $n"
  fi
done
