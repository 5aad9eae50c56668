# Many CPUs: who is there, a job for each pinned to it, jobs that the scheduler places, and one CPU
# taken out and put back. Prints lines "smp: KEY VALUE"; the jobs' results do not depend on order.
say() { echo "smp: $*"; }
cpus=$(grep -c ^processor /proc/cpuinfo)
last=$((cpus - 1))
folder=/sys/devices/system/cpu

# job NAME SIZE: a pipe of three processes with a known result.
job() { seq 1 "$2" | awk -v k="$2" '{s = (s * 31 + $1 * k) % 1000003} END {print s}' > "/tmp/$1"; }
# Sum of the results of jobs 0 to last.
total() { for i in $(seq 0 $last); do cat "/tmp/$1.$i"; done | awk '{s += $1} END {print s}'; }

say cpus "$cpus"
say online "$(cat $folder/online)"
say ids "$(awk '/^apicid/ {printf "%s%s", sep, $3; sep = ","}' /proc/cpuinfo)"

for i in $(seq 0 $last); do
  taskset -c "$i" sh -c 'awk "{print \$39}" /proc/self/stat' > "/tmp/where.$i" &
done
wait
say pinned "$(cat /tmp/where.* 2> /dev/null | sort -n | tr '\n' ' ')"

for i in $(seq 0 $last); do
  job "parallel.$i" $((2000 + 100 * i)) &
done
wait
for i in $(seq 0 $last); do
  job "serial.$i" $((2000 + 100 * i))
done
say parallel "$(total parallel)"
say serial "$(total serial)"

say idle-cpus "$(awk '/^ *LOC:/ {for (i = 2; i <= NF && $i ~ /^[0-9]+$/; ++i) n += $i == 0} END {print n + 0}' /proc/interrupts)"
say calls "$(awk '/^ *(CAL|RES|TLB):/ {for (i = 2; i <= NF && $i ~ /^[0-9]+$/; ++i) n += $i} END {print (n > 0)}' /proc/interrupts)"

echo 0 > $folder/cpu$last/online
say after-offline "$(cat $folder/online)"
echo 1 > $folder/cpu$last/online
say after-online "$(cat $folder/online)"
taskset -c $last sh -c 'seq 1 1000 | awk "{s += \$1} END {print s}"' > /tmp/again
say again "$(cat /tmp/again)"
say splats "$(dmesg | grep -cE 'WARNING:|BUG:|Oops|Call Trace|unchecked MSR|INFO: rcu|did not come online')"
