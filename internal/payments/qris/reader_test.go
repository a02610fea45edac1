package qris_test

import (
	"errors"
	"fmt"
	"strings"
)

// readQR reads an undamaged symbol of the versions 5 to 13 at level M, by ISO/IEC 18004 and independently of the
// library that draws.
func readQR(modules [][]bool) (string, error) {
	symbol := trim(modules)
	version := (len(symbol) - 17) / 4
	layout, known := layouts[version]
	if !known {
		return "", fmt.Errorf("version %d is not known here", version)
	}
	format := 0
	for _, x := range []int{0, 1, 2, 3, 4, 5, 7, 8} {
		format = format<<1 | bit(symbol[8][x])
	}
	format ^= 0b10101000 // the first 8 of the 15 bits that format information is masked with
	if level := format >> 6; level != 0 {
		return "", fmt.Errorf("level %d, want M", level)
	}
	words := readWords(symbol, layout.aligned, format>>3&7)
	return readSegments(layout.gather(words), version)
}

// layout is how a version at level M is built: its alignment lines and the data words of its blocks.
type layout struct {
	aligned []int
	blocks  []int
}

var layouts = map[int]layout{
	5:  {[]int{6, 30}, []int{43, 43}},
	6:  {[]int{6, 34}, []int{27, 27, 27, 27}},
	7:  {[]int{6, 22, 38}, []int{31, 31, 31, 31}},
	8:  {[]int{6, 24, 42}, []int{38, 38, 39, 39}},
	9:  {[]int{6, 26, 46}, []int{36, 36, 36, 37, 37}},
	10: {[]int{6, 28, 50}, []int{43, 43, 43, 43, 44}},
	11: {[]int{6, 30, 54}, []int{50, 51, 51, 51, 51}},
	12: {[]int{6, 32, 58}, []int{36, 36, 36, 36, 36, 36, 37, 37}},
	13: {[]int{6, 34, 62}, []int{37, 37, 37, 37, 37, 37, 37, 37, 38}},
}

// gather puts the interleaved data words of the blocks behind one another.
func (l layout) gather(words []byte) []byte {
	blocks := make([][]byte, len(l.blocks))
	for column := range l.blocks[len(l.blocks)-1] {
		for i, size := range l.blocks {
			if column < size {
				blocks[i], words = append(blocks[i], words[0]), words[1:]
			}
		}
	}
	var data []byte
	for _, block := range blocks {
		data = append(data, block...)
	}
	return data
}

// readWords walks the symbol in columns of two from the right, up and down in turn.
func readWords(symbol [][]bool, aligned []int, mask int) []byte {
	size := len(symbol)
	var bits []byte
	up := true
	for right := size - 1; right > 0; right -= 2 {
		if right == 6 {
			right-- // the timing column is no data
		}
		for i := range size {
			y := i
			if up {
				y = size - 1 - i
			}
			for _, x := range []int{right, right - 1} {
				if !fixed(size, aligned, x, y) {
					bits = append(bits, byte(bit(symbol[y][x] != masked(mask, x, y))))
				}
			}
		}
		up = !up
	}
	words := make([]byte, len(bits)/8)
	for i := range len(words) * 8 {
		words[i/8] = words[i/8]<<1 | bits[i]
	}
	return words
}

// fixed reports whether a module belongs to a pattern and not to the data.
func fixed(size int, aligned []int, x, y int) bool {
	left, top, far := x <= 8, y <= 8, size-8
	switch {
	case left && top, left && y >= far, top && x >= far, x == 6, y == 6:
		return true
	case size >= 45 && (x < 6 && y >= size-11 || y < 6 && x >= size-11): // version information
		return true
	}
	for _, cy := range aligned {
		for _, cx := range aligned {
			last := aligned[len(aligned)-1]
			corner := cx == 6 && cy == 6 || cx == 6 && cy == last || cx == last && cy == 6
			if !corner && x >= cx-2 && x <= cx+2 && y >= cy-2 && y <= cy+2 {
				return true
			}
		}
	}
	return false
}

func masked(mask, x, y int) bool {
	switch mask {
	case 0:
		return (x+y)%2 == 0
	case 1:
		return y%2 == 0
	case 2:
		return x%3 == 0
	case 3:
		return (x+y)%3 == 0
	case 4:
		return (y/2+x/3)%2 == 0
	case 5:
		return x*y%2+x*y%3 == 0
	case 6:
		return (x*y%2+x*y%3)%2 == 0
	default:
		return ((x+y)%2+x*y%3)%2 == 0
	}
}

func readSegments(data []byte, version int) (string, error) {
	const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
	var text strings.Builder
	at := 0
	take := func(n int) (v int) {
		for range n {
			if at < 8*len(data) {
				v = v<<1 | int(data[at/8]>>(7-at%8)&1)
			}
			at++
		}
		return v
	}
	wide := 0 // versions from 10 on have longer counts
	if version >= 10 {
		wide = 1
	}
	for at+4 <= 8*len(data) {
		switch mode := take(4); mode {
		case 0:
			return text.String(), nil
		case 1:
			for n := take([]int{10, 12}[wide]); n > 0; n -= 3 {
				digits := min(n, 3)
				fmt.Fprintf(&text, "%0*d", digits, take([]int{0, 4, 7, 10}[digits]))
			}
		case 2:
			for n := take([]int{9, 11}[wide]); n > 0; n -= 2 {
				if n == 1 {
					text.WriteByte(alphanumeric[take(6)])
					break
				}
				pair := take(11)
				text.WriteByte(alphanumeric[pair/45])
				text.WriteByte(alphanumeric[pair%45])
			}
		case 4:
			for range take([]int{8, 16}[wide]) {
				text.WriteByte(byte(take(8)))
			}
		default:
			return "", fmt.Errorf("mode %d at bit %d after %q", mode, at-4, text.String())
		}
	}
	if at > 8*len(data) {
		return "", errors.New("the data is cut off")
	}
	return text.String(), nil
}

func bit(dark bool) int {
	if dark {
		return 1
	}
	return 0
}
