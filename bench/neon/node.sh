#!/bin/sh
# Node for ARM as if it were this machine's.
exec qemu-aarch64-static -L /usr/aarch64-linux-gnu "$NODE_ON_ARM" "$@"
