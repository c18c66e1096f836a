package command

import (
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"unsafe"
)

func TestTheReserveTakesNoMemory(t *testing.T) {
	// Where a part of it was in use before, Go clears all of it.
	runtime.KeepAlive(slices.Repeat([]byte{1}, 2*reserve))
	runtime.GC()
	memory := newReserve()
	inMemory := 0
	for _, page := range residency(t, memory) {
		inMemory += int(page & 1)
	}
	if inMemory > 0 {
		t.Errorf("%d MiB of it are in memory", inMemory*os.Getpagesize()>>20)
	}
	if first, last := memory[0], memory[reserve-1]; first != 0 || last != 0 {
		t.Errorf("it reads %d and %d", first, last)
	}
}

// residency tells of each page whether it is in memory (mincore(2)).
func residency(t *testing.T, memory []byte) []byte {
	t.Helper()
	pages := make([]byte, len(memory)/os.Getpagesize())
	_, _, err := syscall.Syscall(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(&memory[0])), uintptr(len(memory)), uintptr(unsafe.Pointer(&pages[0])))
	if err != 0 {
		t.Fatalf("mincore: %v", err)
	}
	return pages
}
