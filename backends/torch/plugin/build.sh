#!/bin/sh
# Builds the plugin for PyTorch: libgraphpiped_torch.so, in the folder of PyTorch that it is built for.
#
#     backends/torch/plugin/build.sh [FOLDER]
#
# FOLDER holds lib/ and include/ of PyTorch: runtime/torch in the project, or what LIBTORCH says, such as the folder `torch` of
# a Python environment. Takes a C++ compiler (CXX, else c++) and half a minute.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../../.." && pwd)
folder=${1:-${LIBTORCH:-$project/runtime/torch}}
plugin=$folder/libgraphpiped_torch.so

for part in include/torch/csrc/api/include/torch/version.h lib/libtorch_cpu.so; do
    if [ ! -e "$folder/$part" ]; then
        echo "build.sh: $folder/$part is not there; get PyTorch with: graphpiped runtime install torch" >&2
        exit 1
    fi
done

# No path of a library is built in, nor any library that the daemon might load by itself: it loads PyTorch's first, and these
# names then mean those. Whatever is not exported is hidden: the daemon has other frameworks beside this one.
${CXX:-c++} -std=c++17 -O2 -fPIC -shared -fvisibility=hidden -fvisibility-inlines-hidden -Wall -Wextra -Werror \
    -Wl,--as-needed -Wl,-z,defs -isystem "$folder/include" -isystem "$folder/include/torch/csrc/api/include" \
    "$here/plugin.cpp" "$here/memory.cpp" -L "$folder/lib" -ltorch_cpu -lc10 -o "$plugin.new"
# Whatever the umask: the daemon may be another user.
chmod 755 "$plugin.new"
# In one step: a daemon that starts meanwhile finds the old one or the new one.
mv "$plugin.new" "$plugin"
echo "$plugin"
