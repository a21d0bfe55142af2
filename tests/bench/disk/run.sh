#!/bin/sh
# Runs one workload on a disk. What lies between the lines BEGIN and END is
# measured; SUM is what came out.
# run.sh WORKLOAD DEVICE MEGABYTES
name=$1
disk=$2
megabytes=$3

run_read() { dd if="$disk" bs=1M count="$megabytes" | tail -c 65536; }
run_write() { dd if=/dev/zero of="$disk" bs=1M count="$megabytes" conv=fsync; }
# Once the code that writes has been translated.
run_write_again() { run_write; }
run_blocks() { dd if="$disk" bs=64k count=$((megabytes * 8)) iflag=direct | tail -c 65536; }
# Without a pipe, and without the guest's page cache.
run_read_null() { dd if="$disk" of=/dev/null bs=1M count="$megabytes"; }
run_direct_read() { dd if="$disk" of=/dev/null bs=1M count="$megabytes" iflag=direct; }
run_direct_write() { dd if=/dev/zero of="$disk" bs=1M count="$megabytes" oflag=direct; }
run_random_read() { /bench/random "$disk" "$megabytes" 50000 read; }
run_random_write() { /bench/random "$disk" "$megabytes" 50000 write; }

sync
echo 3 >/proc/sys/vm/drop_caches
echo "BEGIN $name"
"run_$name" >/tmp/out 2>/tmp/errors
code=$?
echo "END $name"
if [ $code = 0 ]; then
  echo "SUM $name $(md5sum </tmp/out)"
else
  echo "FAIL $name: code $code $(head -1 /tmp/errors)"
fi
