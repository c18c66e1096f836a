//go:build !linux

package command

func giveBack([]byte) {}
