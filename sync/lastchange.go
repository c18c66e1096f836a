package sync

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// LastChange is when the newest change happened that Kubernetes made these slices from, as far as they say:
// [corev1.EndpointsLastChangeTriggerTime] is on a slice only after a change of its pods.
func LastChange(slices []*discoveryv1.EndpointSlice) (last time.Time, known bool) {
	for _, slice := range slices {
		changed, err := time.Parse(time.RFC3339Nano, slice.Annotations[corev1.EndpointsLastChangeTriggerTime])
		if err == nil && changed.After(last) {
			last, known = changed, true
		}
	}
	return last, known
}
