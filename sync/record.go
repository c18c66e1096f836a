package sync

import "unique"

// record remembers a name's verdict, and logs it once where it refuses or fails over, or no longer does.
func (m *Mirror) record(key Key, verdict Verdict) {
	m.mu.Lock()
	var before Verdict
	if handle, known := m.verdicts[key]; known {
		before = handle.Value()
	}
	if (verdict == Verdict{State: Withdrawn}) {
		delete(m.verdicts, key)
		delete(m.dated, key)
		m.Rules.Memory.forget(key)
	} else {
		m.verdicts[key] = unique.Make(verdict)
	}
	m.mu.Unlock()
	if before == verdict {
		return
	}
	m.tellVerdict(key, before, verdict)
	log := m.Log.WithField("service", key)
	switch {
	case verdict.Reason == SourceUnproven:
		// The cluster's own log line says it once for all names.
		log.Debug(verdict)
	case verdict.Reason == WriteFailed:
		log.Error(verdict)
	case verdict.State == Refused, verdict.State == Withdrawn && verdict.Message != "":
		log.Warn(verdict)
	case verdict.Reason == FailedOver && before.Reason != FailedOver:
		log.Warn(verdict)
	case before.Reason == FailedOver && verdict.Reason != FailedOver:
		log.Info(verdict)
	case before.State == Refused || before.Reason == WriteFailed:
		log.Info(verdict)
	}
}

// Verdicts gives the verdict of every exported name that was looked at.
func (m *Mirror) Verdicts() map[Key]Verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[Key]Verdict, len(m.verdicts))
	for key, verdict := range m.verdicts {
		all[key] = verdict.Value()
	}
	return all
}
