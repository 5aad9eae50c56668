#!/bin/sh
# What a verifier wants of a guest: a report bound to its nonce (softsnp.nonce=HEX), and the host's
# certificates with it.
. /tools/common.sh
nonce=$(sed -n 's/.*softsnp.nonce=\([^ ]*\).*/\1/p' /proc/cmdline)
/tools/guest_request report report "$nonce" 0 0 1
/tools/guest_request ext ext "$nonce" 0 16384
echo "guest-request end"
