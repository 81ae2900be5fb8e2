# haproxy on a node that others joined: each control plane has a server's line in the ConfigMap, whose files the
# kubelet renews. haproxy takes the place of this shell, so its master has the shell's number.
set -eu
config=/run/haproxy/haproxy.cfg
whole() { cat /etc/haproxy/haproxy.base.cfg /etc/haproxy/*.server; }
whole >$config
(
  while sleep 5; do
    whole >$config.new || continue # the kubelet is putting other files there
    [ "$(cat $config.new)" = "$(cat $config)" ] || { mv $config.new $config && kill -USR2 $$; }
  done
) &
exec haproxy -W -db -f $config
