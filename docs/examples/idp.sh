#!/bin/sh
# /usr/local/sbin/idp (mode 0755): runs a command of the provider's on the server, as idp.service runs it: under the
# account idp, with the settings of /etc/idp/environment, which stand neither in `ps` nor in sudo's log. For root:
#     idp doctor
# It works in no folder of yours: name files from / on, where that account may read or write them.
for each; do
    shift
    set -- "$@" "$(printf %s "$each" | sed 's/\$/$$/g')" # systemd would put a variable in
done
exec systemd-run --quiet --pty --pipe --wait --collect -p User=idp -p Group=idp -p UMask=0077 \
    -p EnvironmentFile=/etc/idp/environment -E IDP_INSTANCE="${IDP_INSTANCE:-/var/lib/idp}" \
    /opt/idp/bin/idp "$@"
