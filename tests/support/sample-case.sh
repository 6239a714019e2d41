#!/usr/bin/env bash
# Makes the files of a small case in the folder given, in real formats, with nothing but bash and coreutils:
# sample-case.sh FOLDER [SIZE of the large file, as for head -c; default 300M]
set -euo pipefail
export LC_ALL=C
folder=$1
large=${2:-300M}
mkdir -p "$folder"
cd "$folder"

# A letter of one page (PDF 1.4). The table at the end names the byte at which each object begins.
make_pdf() {
  local offsets=() number=0 start object
  local text='BT /F1 18 Tf 72 720 Td (Order of search, 12 March 2024) Tj ET'
  : >"$1"
  printf '%%PDF-1.4\n' >>"$1"
  for object in '<< /Type /Catalog /Pages 2 0 R >>' \
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>' \
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>' \
    "<< /Length ${#text} >>"$'\nstream\n'"$text"$'\nendstream' \
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>'; do
    offsets+=("$(stat -c %s "$1")")
    printf '%d 0 obj\n%s\nendobj\n' $((++number)) "$object" >>"$1"
  done
  start=$(stat -c %s "$1")
  {
    printf 'xref\n0 %d\n0000000000 65535 f \n' $((number + 1))
    printf '%010d 00000 n \n' "${offsets[@]}"
    printf 'trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n' $((number + 1)) "$start"
  } >>"$1"
}

# A picture of 32 x 24 pixels.
make_jpeg() {
  base64 -d >"$1" <<'END'
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqm
x5moq6T/wAALCAAYACABAREA/8QAFwABAQEBAAAAAAAAAAAAAAAABQYABP/EAB8QAAICAQQDAAAAAAAAAAAAAAADAQIEERIhYQYxQf/aAAgBAQAA
PwB4lkUKk50UJVFCyDkUETAiKDYL5PkyvGViUmNWzuvzGu2PXHc/ej//2Q==
END
}

# The bytes of a little-endian number of 4 bytes.
le32() {
  local n=$1
  # shellcheck disable=SC2059  # the format is the point
  printf "$(printf '\\x%02x' $((n & 255)) $((n >> 8 & 255)) $((n >> 16 & 255)) $((n >> 24 & 255)))"
}

# Two seconds of a tone (444 Hz; WAV, 8,000 samples of one byte in a second).
make_wav() {
  local samples=15984
  {
    printf 'RIFF' && le32 $((36 + samples)) && printf 'WAVEfmt ' && le32 16
    printf '\x01\x00\x01\x00' && le32 8000 && le32 8000 && printf '\x01\x00\x08\x00data' && le32 $samples
    local wave
    wave=$(printf '\x40%.0s' {1..9})$(printf '\xc0%.0s' {1..9})
    printf "$wave%.0s" $(seq $((samples / 18)))
  } >"$1"
}

make_pdf order.pdf
make_jpeg door.jpg
make_wav interview.wav
cat >'Заявление о пропаже.txt' <<'END'
Заявление. 12 марта 2024 года в шесть утра в квартиру вошли люди без опознавательных знаков.
Они забрали компьютер, два телефона и бумаги. Протокол составлен не был.
END
head -c "$large" /dev/urandom >camera.bin
