# The self-check, then how much memory is unaccepted before and after a file of 1000 MiB is written.
sh /self-check snp
show() { echo "lazy-memory $1 $(sed -n 's/^Unaccepted: *\([0-9]*\) kB/\1/p' /proc/meminfo)"; }
show before
mount -t tmpfs -o size=90% tmpfs /tmp
dd if=/dev/zero of=/tmp/file bs=1M count=1000
show after
