#!/bin/bash
# Restores one snapshot without Strongroom: from the folder of a store, or a
# copy of it, and the two role keys, or the personal keys of a keykeeper and of
# an operator. It uses bash, coreutils, jq, zstd, and age 1.3 or newer.
# restore-by-hand.md explains it, format.md the format.
#
#     restore-by-hand.sh STORE RUN OUTER.KEY INNER.KEY TARGET
#
# STORE is only read. TARGET must not exist. Every chunk is compared with its
# SHA-256 before it is used. What is lost is named, and the exit status is 3.
set -euo pipefail
export LC_ALL=C # names are bytes
umask 077
die() { printf '%s\n' "$*" >&2; exit 1; }
lose() { lost=1; printf 'LOST %s\n' "$*" >&2; }
[ $# = 5 ] || die "usage: ${0##*/} STORE RUN OUTER.KEY INNER.KEY TARGET"
store=$1 run=$2 outer=$3 inner=$4 target=$5
[[ $run =~ ^[0-9a-f-]{36}$ ]] || die "not the id of a run: $run"
[ ! -e "$target" ] && [ ! -L "$target" ] || die "it is there already: $target"
tmp=$(mktemp -d) # keys and content come here: TMPDIR had better be in memory
trap 'rm -rf -- "$tmp"' EXIT
# Nothing from the store is used before it has its form.
checks='def form($re): if type == "string" and test("\\A\($re)\\z") then . else error("not as it should be: \(.)") end;
    def id($n): form("[0-9a-f-]{\($n)}");
    def int: if type == "number" and . == floor and . >= 0 then . else error("not a number: \(.)") end;'
sound() { # DIGEST FILE COPY: writes the name of the one that has the digest
    local file
    for file in "$2" "$3"; do [ "$(sha256sum <"$file")" != "$1  -" ] || { printf '%s' "$file"; return; }; done
    die "damaged or missing: $2"
}

# The description, in the copy that the ledger names. That the ledger itself is
# genuine is not checked here; restore-by-hand.md says how.
about='' ledger=$(cd -- "$store/ledger/entries" && cat -- *) || true
for file in "$store/snapshots/$run.json"{.2,}; do
    digest=$(sha256sum <"$file") || continue
    [[ $ledger != *"\"description\":\"${digest%% *}\""* ]] || about=$file
done
[ -n "$about" ] || { about=$store/snapshots/$run.json; echo "WARNING: the ledger does not name this snapshot" >&2; }
id=$(jq -er --arg run "$run" 'select(.run == $run) | .store' "$about") || die "the description belongs elsewhere"
declare -A named=() # packs, each behind its run
declare -a path=() broken=() type=() mode=() mtime=() owner=() to=() # by entry, from 1
while read -r line; do named[$line]=1; done < <(
    jq -r "$checks"'.runs | to_entries[] | "\(.key | id(36)) \(.value.packs[] | id(64))"' "$about")

# The role keys of every period: a personal key opens its copies of them, in the
# versions of the roster that the ledger names. A role key opens none, and stays.
cat -- "$outer" >"$tmp/outer.keys"; cat -- "$inner" >"$tmp/inner.keys"
for file in "$store"/roster/*; do
    digest=$(cat -- "$file" | sha256sum) || continue # there may be none
    [[ $ledger != *"\"${digest%% *}\""* ]] || jq -r '.periods[] | (.outer_copies[]?, .inner_copies[]?).sealed' "$file"
done | sort -u >"$tmp/copies"
while read -r copy; do
    base64 -d <<<"$copy" >"$tmp/copy" || continue
    age -d -i "$outer" "$tmp/copy" >>"$tmp/outer.keys" 2>"$tmp/answer" || true
    age -d -i "$inner" "$tmp/copy" >>"$tmp/inner.keys" 2>"$tmp/answer" || true
done <"$tmp/copies"

# The key of each run that the snapshot needs: out of the outer seal, then the
# inner one, and each layer compared with what it should be labelled with.
while read -r r digest; do
    envelope=$(sound "$digest" "$store/runs/$r/envelope.age" "$store/runs/$r/envelope.2.age")
    age -d -i "$tmp/outer.keys" "$envelope" >"$tmp/outer.json" || die "$outer does not open the outer seal of run $r"
    jq -r .inner "$tmp/outer.json" | base64 -d | age -d -i "$tmp/inner.keys" >"$tmp/inner.json" ||
        die "$inner does not open the inner seal of run $r"
    jq -es --arg store "$id" --arg run "$r" 'all(.[]; .store == $store and .run == $run)' \
        "$tmp/outer.json" "$tmp/inner.json" >"$tmp/answer" || die "the envelope of run $r belongs elsewhere"
    jq -r .identity "$tmp/inner.json" >"$tmp/$r.key"
done < <(jq -r "$checks"'.runs | to_entries[] | "\(.key | id(36)) \(.value.envelope | id(64))"' "$about")
mkdir -- "$target" # now that the keys open

# places LIST: a line for each chunk of a root, a longer list or a manifest:
# run, pack, offset and length of the frame, digest, number of the entry whose
# it is (0 if of none), and where in the content of that entry it begins.
places() {
    jq -nr "$checks"'foreach (inputs | (if .type then "entry" else empty end), .chunks[]?) as $c ({i: 0, n: 0};
        if $c == "entry" then {i: (.i + 1), n: 0} else {i, at: ((.at // 0) + .n), n: ($c.n | int)} end;
        if $c == "entry" then empty else "\($c.r | id(36)) \($c.p | id(64)) \($c.o | int) \($c.z | int) \($c.h | id(64)) \(.i) \(.at)" end)' "$1"
}
# assemble: puts the chunks of $tmp/places into the files path[entry], pack by
# pack: each is unsealed once, and the frames that are needed are cut out.
assemble() {
    local run pack o z h i at last=
    { sort -k1,2 -k3,3n "$tmp/places"; echo end; } >"$tmp/sorted"
    while read -r run pack o z h i at; do
        if [ "$run $pack" != "$last" ]; then
            [ -z "$last" ] || place
            [ "$run" != end ] || break
            last="$run $pack"
            [ -n "${named[$last]:-}" ] || die "pack $pack of run $run is needed, and the description does not name it"
            rm -rf -- "$tmp/chunks" "$tmp/digests" "$tmp/wanted"; mkdir -- "$tmp/chunks"
            age -d -i "$tmp/$run.key" "$store/runs/$run/packs/$pack" >"$tmp/pack" || lose "pack $pack of run $run, or its end"
        fi
        echo "$h $i $at" >>"$tmp/wanted"
        [ ! -e "$tmp/chunks/$h.zst" ] || continue
        dd if="$tmp/pack" of="$tmp/chunks/$h.zst" bs=1M iflag=skip_bytes,count_bytes skip="$o" count="$z" status=none || true
        echo "$h  $h" >>"$tmp/digests"
    done <"$tmp/sorted"
}
place() { # unpacks the frames of one pack and drops what does not have its digest
    local h i at
    zstd -dqr --rm "$tmp/chunks" || true
    (cd -- "$tmp/chunks" && sha256sum --quiet -c ../digests >../wrong 2>/dev/null) || true
    while IFS=: read -r h _; do rm -f -- "$tmp/chunks/$h"; done <"$tmp/wrong"
    while read -r h i at; do
        [ -e "$tmp/chunks/$h" ] || { broken[i]=1; continue; }
        dd if="$tmp/chunks/$h" of="${path[i]}" bs=1M oflag=seek_bytes seek="$at" conv=notrunc status=none
    done <"$tmp/wanted"
}

# The root, the longer list that it may stand for, the manifest.
root=$(jq -r "$checks"'.root | id(64)' "$about")
root=$(sound "$root" "$store/runs/$run/root/$root" "$store/runs/$run/root/$root.2")
age -d -i "$tmp/$run.key" "$root" | zstd -dqc >"$tmp/list"
jq -en --arg store "$id" --arg run "$run" 'input | .store == $store and .run == $run' "$tmp/list" >"$tmp/answer" || die "the root belongs elsewhere"
for step in $(jq -nr 'input | if .list then "longer" else empty end' "$tmp/list") manifest; do
    places "$tmp/list" >"$tmp/places"
    path[0]=$tmp/$step
    assemble
    [ -z "${broken[0]:-}" ] || die "the manifest is lost"
    mv -- "$tmp/$step" "$tmp/list"
done
# The entries: first folders and empty files, then content, hard links, and last
# symlinks, so that nothing is ever written through one.
jq -j "$checks"'select(.type) | ((.type | if . == "stream" then "file" else . end), (.mode | id(4)), (.mtime | form("[0-9T:.Z-]+")),
    "\(.uid | int):\(.gid | int)", (.path, .path64, .target, .target64 | . // "")) | form("[^\\x00]*") + "\u0000"' "$tmp/list" >"$tmp/entries"
mapfile -t -d '' field <"$tmp/entries"
bytes() { # sets $bytes to $1 or, for what is not UTF-8, to $2 out of base64
    bytes=$1
    [ -z "$2" ] || { bytes=$(base64 -d <<<"$2" && printf x) && bytes=${bytes%x}; }
    [[ $3 != inside || /$bytes/ != *//* && /$bytes/ != */./* && /$bytes/ != */../* ]] || die "the manifest leads out of the target: ${bytes@Q}"
}
for ((i = 1, f = 0; f < ${#field[@]}; i++, f += 8)); do
    type[i]=${field[f]} mode[i]=${field[f + 1]} mtime[i]=${field[f + 2]} owner[i]=${field[f + 3]}
    bytes "${field[f + 4]}" "${field[f + 5]}" inside; path[i]=$target/$bytes
    bytes "${field[f + 6]}" "${field[f + 7]}" "${type[i]/hardlink/inside}"; to[i]=$bytes
    case ${type[i]} in
    dir) mkdir -- "${path[i]}" ;; file) : >"${path[i]}" ;;
    special) echo "not made, as it is a device, socket or pipe: ${path[i]@Q}" >&2 ;;
    esac
done
places "$tmp/list" >"$tmp/places"
assemble
for i in "${!broken[@]}"; do rm -- "${path[i]}" && lose "${path[i]@Q}" && type[i]=lost; done
each() { # TYPE VALUES COMMAND...: calls it with a value and the paths of all entries of the type that have it
    local -n values=$2; local -A group=(); local i value some of=$1
    for i in "${!type[@]}"; do [ "${type[i]}" != "$of" ] || group[${values[i]}]+=" $i"; done
    for value in "${!group[@]}"; do
        some=()
        for i in ${group[$value]}; do some+=("${path[i]}"); done
        for ((i = 0; i < ${#some[@]}; i += 200)); do "${@:3}" "$value" -- "${some[@]:i:200}"; done
    done
}
((EUID)) || each file owner chown
each file mode chmod
each file mtime touch -d
for i in "${!type[@]}"; do [ "${type[i]}" != hardlink ] || ln -T -- "$target/${to[i]}" "${path[i]}" || lose "${path[i]@Q}"; done
for i in "${!type[@]}"; do [ "${type[i]}" != symlink ] || ln -sT -- "${to[i]}" "${path[i]}"; done
((EUID)) || each symlink owner chown -h
each symlink mtime touch -h -d
for ((i = ${#type[@]}; i > 0; i--)); do # what is in a folder before the folder
    [ "${type[i]}" = dir ] || continue
    ((EUID)) || chown "${owner[i]}" -- "${path[i]}"
    chmod "${mode[i]}" -- "${path[i]}"; touch -d "${mtime[i]}" -- "${path[i]}"
done
[ -z "${lost:-}" ] || exit 3
