#!/bin/sh
# Requests as fast as the driver lets them go.
. /tools/common.sh
req=/tools/guest_request
$req first report 01 0 0 1
$req second report 02 0 0 1
$req short ext 03 0 4096
$req third ext 04 0 8192
echo "guest-request end"
