# Sourced by what the tests run in the guest. The kernel's log stays off the console, where it would
# fall into the lines of guest_request; show_log prints what it said since.
PATH=/bin
dmesg -n 1
dmesg -c > /dev/null

show_log() {
  dmesg -c | sed -n "s/^\[[^]]*\] sev-guest sev-guest: /log $1: /p"
}

# Another run of the driver, with the key of its choice.
load_driver() {
  rmmod sev_guest
  modprobe sev-guest "$@"
}

hex() {
  xxd -p "$1" | tr -d '\n'
}

# tsm LABEL DATA: a report through configfs-tsm, and all that stands beside it. Of $privlevel, if set.
tsm() {
  report=/sys/kernel/config/tsm/report/$1
  mkdir "$report"
  [ -z "$privlevel" ] || echo "$privlevel" > "$report/privlevel"
  echo "$2" | xxd -r -p > /tmp/inblob
  cat /tmp/inblob > "$report/inblob"
  cat "$report/outblob" > /tmp/outblob
  cat "$report/auxblob" > /tmp/auxblob
  echo "tsm $1 provider=$(cat "$report/provider") generation=$(cat "$report/generation")" \
    "privlevel_floor=$(cat "$report/privlevel_floor")" \
    "outblob=$(hex /tmp/outblob) auxblob=$(hex /tmp/auxblob)"
}
