#!/bin/sh
# Runs one workload. What lies between the lines BEGIN and END is measured; SUM
# is a checksum of what came out.
cd /tmp || exit
name=$1

prepare() {
  # Machine code, numbers and C: 4 MB.
  { cat /bin/busybox; seq 1 250000; cat /bench/*.[ch]; } >data
  d=0
  while [ $d -lt 60 ]; do
    mkdir -p tree/$d/deep/er
    f=0
    while [ $f -lt 30 ]; do
      : >tree/$d/file$f.txt
      : >tree/$d/deep/er/other$f.c
      f=$((f + 1))
    done
    d=$((d + 1))
  done
}
run_gzip() { gzip -c <data; }
run_sha256sum() { sha256sum data data data data data data; }
run_awk() { awk -f /bench/program.awk /bench/*.c; }
run_forks() {
  i=0
  while [ $i -lt 500 ]; do
    /bin/busybox true
    i=$((i + 1))
  done
  echo $i
}
run_find() {
  i=0
  while [ $i -lt 12 ]; do
    find tree -type f -name '*1*.c' -size 0 | wc -l
    i=$((i + 1))
  done
}
run_tcc() {
  i=0
  while [ $i -lt 3 ]; do
    for source in /bench/*.c; do
      tcc -DNATIVE -nostdinc -c -o object.o "$source" || return
      if [ $i = 0 ]; then md5sum <object.o; fi
    done
    i=$((i + 1))
  done
}

case $name in
prepare)
  prepare
  echo "SUM prepare $(md5sum <data)"
  ;;
*)
  echo "BEGIN $name"
  "run_$name" >out 2>errors
  code=$?
  echo "END $name"
  if [ $code = 0 ] && [ ! -s errors ]; then
    echo "SUM $name $(md5sum <out)"
  else
    echo "FAIL $name: code $code $(head -1 errors)"
  fi
  ;;
esac
