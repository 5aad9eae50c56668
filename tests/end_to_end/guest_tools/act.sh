#!/bin/sh
# act.sh ACT:VMPCK...: announces each act to the host and asks for a report during it, with honest
# ones before and after.
. /tools/common.sh
req=/tools/guest_request

act() {
  load_driver "vmpck_id=$2"
  $req before-$1 report $(printf 'b%02x' $1 | sed 's/^b/b0/') 3 0 1
  $req sign port $1
  if [ "$3" = ext ]; then
    $req act-$1 ext a0 3 16384
  else
    $req act-$1 report a0 3 0 1
  fi
  $req sign port 0
  $req after-$1 report c0 3 0 1
  $req again-$1 report c1 3 0 1
  show_log $1
}

for word in $(sed -n 's/.*softsnp.acts=\([^ ]*\).*/\1/p' /proc/cmdline | tr , ' '); do
  act $(echo "$word" | tr : ' ')
done
echo "guest-request end"
