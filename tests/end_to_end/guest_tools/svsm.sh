#!/bin/sh
# What a guest at VMPL2 gets from its SVSM and from the secure processor.
. /tools/common.sh
req=/tools/guest_request
echo "svsm vmpl=$(cat /sys/devices/system/cpu/sev/vmpl)"
nonce=$(sed -n 's/.*softsnp.nonce=\([^ ]*\).*/\1/p' /proc/cmdline)

# svsm_tsm LABEL [GUID]: a report of the SVSM's through configfs-tsm, with its manifest.
svsm_tsm() {
  report=/sys/kernel/config/tsm/report/$1
  mkdir "$report"
  echo "$nonce" | xxd -r -p > /tmp/inblob
  cat /tmp/inblob > "$report/inblob"
  echo svsm > "$report/service_provider"
  [ -z "$2" ] || echo "$2" > "$report/service_guid"
  cat "$report/outblob" > /tmp/outblob 2> /dev/null || echo "svsm refused $1"
  cat "$report/manifestblob" > /tmp/manifestblob 2> /dev/null
  cat "$report/auxblob" > /tmp/auxblob 2> /dev/null
  echo "tsm $1 outblob=$(hex /tmp/outblob) manifestblob=$(hex /tmp/manifestblob)" \
    "auxblob=$(hex /tmp/auxblob)"
}
svsm_tsm services
svsm_tsm again
svsm_tsm vtpm c476f1eb-0123-45a5-9641-b4e7dde5bfe3
privlevel=2
tsm own "$nonce"
# For the levels above its own the guest has no key.
$req vmpl0 report a7 0 0 1
$req vmpl1 report a7 1 0 1
$req vmpl2 report a7 2 0 1
$req vmpl3 report a7 3 0 1
echo "guest-request end"
