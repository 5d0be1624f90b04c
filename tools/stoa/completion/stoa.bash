# shellcheck shell=bash
# SPDX-License-Identifier: BSL-1.0
#
# bash completion for stoa: commands, options, names of segments and objects.

# The words that begin like the one being typed, a line each; names may have blanks.
_stoa_offer() # word < lines
{
	local line

	while IFS= read -r line; do
		[[ $line != "$1"* ]] || COMPREPLY+=("$(printf '%q' "$line")")
	done
}

_stoa()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local directory=${STOA_DIRECTORY:-/dev/shm/stoa-$UID}
	local domain=${STOA_DOMAIN:-default} command=${COMP_WORDS[1]-}
	local common='--directory --domain --file --json --help --usage'
	local own='' file='' i names=() where=()

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W \
			'ls info check recover rm dump locks heap help --help --version' \
			-- "$word")
		return
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-d | --directory) directory=${COMP_WORDS[++i]} ;;
		-D | --domain) domain=${COMP_WORDS[++i]} ;;
		-f | --file) file=--file ;;
		-*) ;;
		*) names+=("${COMP_WORDS[i]}") ;;
		esac
	done
	case $command in
	ls) own=--all ;;
	info) own=--layout ;;
	recover) own='--force --dry-run' ;;
	rm) own=--force ;;
	dump) own='--attach --list' ;;
	check) own=--attach ;;
	heap) own='--attach --svg' ;;
	locks) own='--tree --contention --count --stop' ;;
	esac
	case $before in
	-d | --directory)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return
		;;
	-D | --domain)
		_stoa_offer "$word" < <(command ls -- "$directory" 2> /dev/null)
		return
		;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$common $own" -- "$word")
	elif [ "$command" = help ]; then
		mapfile -t COMPREPLY < <(compgen -W \
			'ls info check recover rm dump locks heap' -- "$word")
	elif [ "$command" = dump ] && [ ${#names[@]} = 1 ]; then
		where=(--directory "$directory" --domain "$domain")
		[ -z "$file" ] || where=(--file)
		_stoa_offer "$word" < <(stoa dump --list --json "${where[@]}" \
			-- "${names[0]}" 2> /dev/null |
			sed -n 's/^ *"name": "\(.*\)",$/\1/p')
	elif [ -n "$file" ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	else
		_stoa_offer "$word" < <(command ls -- "$directory/$domain" \
			2> /dev/null)
	fi
}
complete -F _stoa stoa
