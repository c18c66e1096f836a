package invariant

import (
	"fmt"
	"slices"
	"time"
)

const (
	brakeWindow = 10 * time.Minute
	brakeFloor  = 10
)

// withdrawal is a pointer that went and was not to come again.
type withdrawal struct {
	key     Key
	at      time.Time // when it was surely there
	request Request
}

// judgeBrake is I6: in any window, the distinct pointers that went are no more than the floor, or the percentage of the
// pointers that there were when it began.
func (d direction) judgeBrake(report *Report) {
	groups := map[string][]withdrawal{}
	for _, lost := range d.destructions() {
		if lost.service && !d.comesAgain(lost) && !d.isReleased(lost.request.Received) {
			group := d.group(lost.key.Namespace)
			groups[group] = append(groups[group], withdrawal{key: lost.key, at: lost.request.Received, request: lost.request})
		}
	}
	for group, withdrawals := range groups {
		d.judgeWindows(group, withdrawals, report)
	}
}

func (d direction) group(namespace string) string {
	if d.world.Group == nil {
		return ""
	}
	return d.world.Group(namespace)
}

func (d direction) judgeWindows(group string, withdrawals []withdrawal, report *Report) {
	for i, first := range withdrawals {
		var keys []Key
		var evidence []string
		for _, later := range withdrawals[i:] {
			if later.at.Sub(first.at) > brakeWindow || d.releasedBetween(first.at, later.at) {
				break
			}
			if !slices.Contains(keys, later.key) {
				keys = append(keys, later.key)
				evidence = append(evidence, later.request.String())
			}
		}
		pointers := d.mostPointers(group, first.at, withdrawals[i:][len(keys)-1].at)
		if limit := max(brakeFloor, pointers*d.world.MaxDeletePercent/100); len(keys) > limit {
			report.violated("I6", evidence, "%d pointers were withdrawn from %s within %s, of at most %d; %d are allowed", len(keys), d.target.Name, brakeWindow, pointers, limit)
			return
		}
	}
}

func (d direction) releasedBetween(from, to time.Time) bool {
	return slices.ContainsFunc(d.world.Releases, func(release Interval) bool { return release.From.After(from) && release.To.Before(to) })
}

func (d direction) isReleased(at time.Time) bool {
	return slices.ContainsFunc(d.world.Releases, func(release Interval) bool { return !at.Before(release.From) && !at.After(release.To) })
}

// comesAgain reports whether a Service was deleted only to be made in another shape: when the source was asked, the Service
// may have been there, to be mirrored.
func (d direction) comesAgain(lost destruction) bool {
	for _, state := range d.source.History.During(lost.key, lost.of.after, lost.request.Received) {
		if isExported(state.Service) && !isRefused(state.Service) && isHeadless(state.Service) != isHeadless(lost.pointer.Service) {
			return true
		}
	}
	return false
}

// mostPointers is the highest number of names in the window under which the target has had something of the source's.
func (d direction) mostPointers(group string, from, to time.Time) int {
	present, names, most := map[ID]Key{}, map[Key]int{}, 0
	for _, version := range d.target.History.versions {
		if version.ID.Kind == KindNamespace || d.group(version.ID.Namespace) != group {
			continue
		}
		if version.after.After(to) {
			break
		}
		key, known := present[version.ID]
		switch isOurs := version.Object != nil && d.owns(version.Object); {
		case isOurs && !known:
			key = keyOf(version.ID, version.Object)
			present[version.ID] = key
			names[key]++
		case !isOurs && known:
			if !version.before.Before(from) {
				most = max(most, len(names))
			}
			delete(present, version.ID)
			if names[key]--; names[key] == 0 {
				delete(names, key)
			}
		}
	}
	return max(most, len(names))
}

// String is a state as evidence.
func (s State) String() string {
	text := "no Service"
	if s.Service != nil {
		text = fmt.Sprintf("Service with UID %s, revision %s and labels %v", s.Service.UID, s.Service.ResourceVersion, s.Service.Labels)
	}
	for _, slice := range s.Slices {
		text += fmt.Sprintf(", slice %s with %d ready addresses and labels %v", slice.Name, len(readyOf(slice, nil)), slice.Labels)
	}
	return text
}
