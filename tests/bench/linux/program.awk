# Words counted, strings taken apart and put together, and arithmetic.
{
  for (i = 1; i <= NF; i++) count[$i]++
  line = $0
  gsub(/[a-z]+/, "<&>", line)
  letters += length(line)
  if (match(line, /<[a-z]*r[a-z]*>/)) found[substr(line, RSTART, RLENGTH)]++
}
END {
  for (word in count) { words++; total += count[word] }
  for (word in found) matches += found[word] * length(word)
  x = 1
  for (i = 0; i < 150000; i++) {
    x = (x * 16807) % 2147483647
    table[x % 997] += x % 64
  }
  for (i = 0; i < 997; i++) sum = (sum * 31 + table[i]) % 1000003
  printf "%d %d %d %d %d %d\n", NR, words, total, letters, matches, sum
}
