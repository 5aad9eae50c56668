#!/bin/sh
# What the driver of kernel 6.1 has: no configfs-tsm.
. /tools/common.sh
req=/tools/guest_request
$req report report a7 1 0 1
$req key key 0 8 0 0 0 1
$req short ext a7 0 4096
$req ext ext a7 0 8192
load_driver vmpck_id=2
$req vmpck2 report a7 2 0 1
$req version2 report a7 2 0 2
$req after report a7 2 0 1
show_log all
echo "guest-request end"
