# shellcheck shell=bash
# SPDX-License-Identifier: BSL-1.0
#
# What the scripts share; sourced, after `root` is set to the tree's top.
: "${root:?}"

# build PRESET [TARGET...]: configure if needed, and build; quiet unless it fails
build()
{
	local preset=$1 log ninja=() target targets=()
	shift

	for target; do
		targets+=(--target "$target")
	done
	mkdir -p "$root/build"
	log=$root/build/$preset.log
	if [ ! -e "$root/build/$preset/CMakeCache.txt" ] &&
		command -v ninja > /dev/null; then
		ninja=(-G Ninja)
	fi
	if ! (cd "$root" &&
		cmake --preset "$preset" "${ninja[@]}" &&
		cmake --build "build/$preset" --parallel "$(nproc)" \
			"${targets[@]}") > "$log" 2>&1; then
		# What a compiler, a linker or CMake complains about, not the commands.
		if ! grep -E '(error|warning): |undefined reference|CMake Error' \
			-A 3 "$log" | head -n 60 | grep .; then
			tail -n 30 "$log"
		fi
		echo "the whole log: $log"
		return 1
	fi
}
