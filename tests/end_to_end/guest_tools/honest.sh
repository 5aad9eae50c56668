#!/bin/sh
# What a guest can ask of an honest host. Labels are what the tests look for.
. /tools/common.sh
req=/tools/guest_request
nonce=$(printf '%0128d' 0 | sed 's/00/a7/g')

for vmpl in 0 1 2 3; do
  $req report-vmpl$vmpl report $nonce $vmpl 0 1
done
$req report-vcek report 01 0 1 1
$req report-vlek report 01 0 2 1
$req report-reserved-key report 01 0 3 1
$req report-version0 report 01 0 0 0
$req unknown unknown

# ROOT FIELDS VMPL SVN TCB
$req key-none key 0 0 0 0 0 1
$req key-again key 0 0 0 0 0 1
for bit in 0 1 2 3 4; do
  $req key-field$bit key 0 $((1 << bit)) 0 0 0 1
done
$req key-vmpl2 key 0 0 2 0 0 1
$req key-vmrk key 1 0 0 0 0 1
$req key-svn7 key 0 16 0 7 0 1
$req key-tcb key 0 32 0 0 0 1
$req key-tcb-too-new key 0 32 0 0 0xff00000000000000 1
$req key-unknown-field key 0 0x8000 0 0 0 1
$req key-svn-unselected key 0 0 0 7 0 1

for size in 0 4096 8192 16384 100 20480; do
  $req ext-$size ext $nonce 0 $size
done

tsm a $nonce
# A second one of the same item: cat reads the outblob once for each change of the input.
echo 3 > /sys/kernel/config/tsm/report/a/privlevel
echo "tsm2 generation=$(cat /sys/kernel/config/tsm/report/a/generation)" \
  "outblob=$(cat /sys/kernel/config/tsm/report/a/outblob | xxd -p | tr -d '\n')"
(head -c 63 /tmp/inblob > /sys/kernel/config/tsm/report/a/inblob) 2>&1
cat /sys/kernel/config/tsm/report/a/outblob > /dev/null 2> /tmp/error || echo "tsm-short $(cat /tmp/error)"
rmdir /sys/kernel/config/tsm/report/a

# The count goes on where the driver before left it, in the secrets page.
load_driver
$req reloaded report 02 0 0 1
for key in 1 2 3; do
  load_driver vmpck_id=$key
  $req vmpck$key-report report $nonce $key 0 1
  $req vmpck$key-more-privilege report $nonce $((key - 1)) 0 1
  $req vmpck$key-key key 0 0 $key 0 0 1
  tsm vmpck$key $nonce
  rmdir /sys/kernel/config/tsm/report/vmpck$key
done
load_driver vmpck_id=4
show_log loads
load_driver vmpck_id=0

# Firmware that refuses a message: the driver gives the key up.
$req report-version2 report 01 0 0 2
$req after-version2 report 01 0 0 1
show_log version2
load_driver vmpck_id=0
show_log wiped
echo "guest-request end"
